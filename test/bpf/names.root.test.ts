import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesName, parsePattern, parseSuffix } from '../../src/policy/name.ts';
import { makeRng } from '../dns/rng.ts';
import { fuzzSettings } from '../fuzz/fuzz-settings.ts';
import { ask, RESOLVER4 } from './dns-exchange.ts';
import { useHarness } from './harness.ts';
import type { PolicySpec, RuleSpec } from './policy-builder.ts';

const datapath = await useHarness('egress');

/** Under strict DNS a TXT lookup passes exactly when a rule lists the name. */
const TXT = 16;
function isListed(qname: string): boolean {
  return ask(datapath, { qname, qtype: TXT }, 'egress').verdict === 'pass';
}

async function inForce(rules: PolicySpec['rules']): Promise<void> {
  await datapath.apply({ ...(rules && { rules }), strict: true });
  datapath.trust([RESOLVER4, 53]);
}

interface Row {
  readonly rule: RuleSpec;
  readonly listed: readonly string[];
  readonly others: readonly string[];
}

const ROWS: readonly Row[] = [
  {
    rule: { cn: '.bücher.example' },
    listed: ['www.xn--bcher-kva.example', 'WWW.XN--Bcher-KVA.example.'],
    others: ['xn--bcher-kva.example', 'www.xn--bcher-kvb.example', 'www.bcher.example'],
  },
  {
    rule: { cn: '.gitlab.com' },
    listed: ['www.gitlab.com', 'a.b.gitlab.com', 'WWW.GitLab.COM', 'www.gitlab.com.', '_x.gitlab.com'],
    others: [
      'gitlab.com',
      'xgitlab.com',
      'www.gitlab.com.evil.test',
      'gitlab.co',
      'www.gitlab.org',
      'com',
      '.',
    ],
  },
  {
    rule: { cn: 'ome.com' },
    listed: ['ome.com', 'home.com', 'www.rome.com', 'OME.com', 'x.ome.com'],
    others: ['me.com', 'ome.org', 'ome.com.test', 'homeXcom', 'om.e.com', 'com'],
  },
  {
    rule: { cn: 'com' },
    listed: ['com', 'example.com', 'telecom', 'x.telecom'],
    others: ['example.org', 'comx', 'om', '.'],
  },
  {
    rule: { name: 'www.example.com' },
    listed: ['www.example.com', 'WWW.example.COM', 'www.example.com.'],
    others: [
      'example.com',
      'a.www.example.com',
      'wwww.example.com',
      'ww.example.com',
      'www.example.co',
      'w.example.com',
    ],
  },
  {
    rule: { name: '*.example.com' },
    listed: ['a.example.com', 'A.EXAMPLE.com', 'www-1.example.com', `${'x'.repeat(63)}.example.com`],
    others: ['example.com', 'a.b.example.com', 'aexample.com', 'a.example.org', 'a.example.com.test'],
  },
  {
    rule: { name: '**.example.com' },
    listed: ['a.example.com', 'a.b.example.com'],
    others: ['example.com', 'aexample.com'],
  },
  {
    rule: { name: 'www*.example.com' },
    listed: ['www.example.com', 'www1.example.com', 'WWW-x.example.com', 'wwwwww.example.com'],
    others: ['ww.example.com', 'xwww.example.com', 'www.a.example.com', 'www1.b.example.com', 'example.com'],
  },
  {
    rule: { name: '*www.example.com' },
    listed: ['www.example.com', 'xwww.example.com', 'wwwwww.example.com'],
    others: ['www1.example.com', 'x.www.example.com', 'wwwx.example.com'],
  },
  {
    rule: { name: 'a*b*c.example.com' },
    listed: [
      'abc.example.com',
      'aXbYc.example.com',
      'abbbc.example.com',
      'abcbc.example.com',
      'aabbcc.example.com',
    ],
    others: ['ac.example.com', 'ab.c.example.com', 'abcd.example.com', 'acb.example.com', 'a.bc.example.com'],
  },
  {
    rule: { name: 'api.*.example.com' },
    listed: ['api.eu.example.com', 'API.x.example.com'],
    others: ['api.example.com', 'api.a.b.example.com', 'xapi.eu.example.com', 'api.eu.example.com.test'],
  },
  {
    rule: { name: '*.*.example.com' },
    listed: ['a.b.example.com'],
    others: ['a.example.com', 'a.b.c.example.com', 'example.com'],
  },
  {
    rule: { name: 'cdn.*' },
    listed: ['cdn.com', 'cdn.x'],
    others: ['cdn.example.com', 'cdn', 'xcdn.com', 'com'],
  },
  {
    rule: { name: '*' },
    listed: ['com', 'localhost'],
    others: ['a.com'],
  },
  {
    rule: { name: 'x*' },
    listed: ['x', 'xy', 'X1'],
    others: ['yx', 'x.y', 'yx.x'],
  },
  {
    rule: { name: '**.api-*.example.com' },
    listed: ['x.api-1.example.com', 'a.b.api-.example.com', 'api-1.api-2.example.com'],
    others: ['api-1.example.com', 'x.api.example.com', 'x.api-1.b.example.com', 'xapi-1.example.com'],
  },
  {
    rule: { name: '**.*a' },
    listed: ['x.a', 'x.ba', 'x.y.aba'],
    others: ['a', 'ba', 'x.ab', 'a.b'],
  },
  {
    rule: { name: '_dmarc.*.test' },
    listed: ['_dmarc.a.test'],
    others: ['dmarc.a.test', '_dmarc.test'],
  },
];

for (const { rule, listed, others } of ROWS) {
  test(`${JSON.stringify(rule)} lists what it says, and nothing else`, async () => {
    await inForce({ 1: rule });
    const match = rule.cn === undefined ? parsePattern(rule.name ?? '') : parseSuffix(rule.cn);
    for (const qname of [...listed, ...others]) {
      assert.equal(isListed(qname), listed.includes(qname), qname);
      assert.equal(matchesName(match, qname), listed.includes(qname), `${qname} by matchesName`);
    }
  });
}

test('longer entries hold what shorter ones do', async () => {
  await inForce({
    1: { cn: '.com' },
    2: { cn: '.example.com' },
    3: { name: 'www.example.com' },
    4: { name: 'ww*.example.com' },
    5: { name: 'www.*.com' },
  });
  for (const qname of ['a.com', 'a.example.com', 'www.example.com', 'x.www.example.com', 'wwx.example.com']) {
    assert.equal(isListed(qname), true, qname);
  }
  assert.equal(isListed('www.example.org'), false);
});

test('eight patterns are tried for one name', async () => {
  const patterns = Array.from({ length: 8 }, (_, index) => [index + 1, { name: `p${index}*.example.com` }]);
  await inForce(Object.fromEntries(patterns));
  for (let index = 0; index < 8; index += 1) assert.equal(isListed(`p${index}x.example.com`), true);
  assert.equal(isListed('p8x.example.com'), false);
});

test('a pattern of many stars against the longest name comes to an end, and refuses', async () => {
  await inForce({ 1: { name: `${'a*'.repeat(30)}b.${'a*'.repeat(30)}b.${'a*'.repeat(20)}b.test` } });
  const long = ['a', 'a', 'a'].map((letter) => letter.repeat(63)).join('.');
  assert.equal(isListed(`${long}.test`), false);
  assert.equal(isListed(`${'a'.repeat(62)}b.${'a'.repeat(62)}b.${'a'.repeat(62)}b.test`), true);
});

const { seed, rounds } = fuzzSettings(4000);
const NAMES_PER_POLICY = 100;
test(`the kernel lists what matchesName says, ${rounds} names at random, seed ${seed}`, async () => {
  const rng = makeRng(seed);
  const seen = { listed: 0, others: 0 };
  const label = (stars: boolean) =>
    Array.from({ length: 1 + rng.below(3) }, () => rng.pick(stars ? ['a', 'b', '*'] : ['a', 'b', 'B'])).join(
      '',
    );
  const text = (labels: number, stars: boolean) =>
    [...Array.from({ length: labels }, () => label(stars)), 'test'].join('.').replaceAll('**', '*');
  for (let round = 0; round < rounds / NAMES_PER_POLICY; round += 1) {
    const rules: RuleSpec[] = Array.from({ length: 1 + rng.below(6) }, () => {
      const words = text(rng.below(3), false).toLowerCase();
      const pattern = text(1 + rng.below(2), true);
      const deep = { name: `**.${pattern}` };
      return rng.pick([{ cn: `.${words}` }, { cn: words }, { name: words }, { name: pattern }, deep]);
    });
    const distinct = [...new Map(rules.map((rule) => [JSON.stringify(rule), rule])).values()];
    await inForce(Object.fromEntries(distinct.map((rule, index) => [index + 1, rule])));
    const matches = distinct.map((rule) =>
      rule.cn === undefined ? parsePattern(rule.name ?? '') : parseSuffix(rule.cn),
    );
    for (let names = 0; names < NAMES_PER_POLICY; names += 1) {
      const qname = text(rng.below(4), false);
      const expected = matches.some((match) => matchesName(match, qname));
      assert.equal(isListed(qname), expected, `round ${round}: ${qname} by ${JSON.stringify(distinct)}`);
      seen[expected ? 'listed' : 'others'] += 1;
    }
  }
  // Else it would prove nothing.
  assert.ok(seen.listed > rounds / 8 && seen.others > rounds / 8, JSON.stringify(seen));
});
