import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { name, record } from '../dns/raw-message.ts';
import {
  A,
  AAAA,
  answer,
  answerA,
  aRecord,
  ask,
  CNAME,
  hear,
  QUERIED,
  query,
  RESOLVER4,
  RESOLVER6,
} from './dns-exchange.ts';
import { ethernet, fragments4, LOCAL4, outbound } from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import type { PolicySpec } from './policy-builder.ts';
import { tcp, udp } from './segments.ts';

const RULES = { 1: { cn: '.example.com' }, 2: { name: 'www.example.org' } };
const OPEN: PolicySpec = { rules: RULES };
const STRICT: PolicySpec = { rules: RULES, strict: true };
const DENY: PolicySpec = {
  rules: {
    ...RULES,
    3: { denyName: 'evil.example.com' },
    4: { denyName: 'ads*.example.com' },
    5: { denyName: '**.example.net' },
  },
};
const DENY_STRICT: PolicySpec = { ...DENY, strict: true };
const LOOKUP: PolicySpec = {
  rules: { ...RULES, 3: { cn: '.example.net', lookup: true }, 4: { name: 'x*.test', lookup: true } },
  strict: true,
};
const datapath = await useHarness('egress', 'egress_l3', 'query', 'learn', 'arrive');

beforeEach(() => datapath.trust([RESOLVER4, 53], [RESOLVER6, 53]));

const NS = 2;
const SOA = 6;
const TXT = 16;
const DS = 43;
const DNSKEY = 48;
const HTTPS = 65;
const NULL = 10;
const ANY = 255;
const PRIVATE = 65_399; // what iodine asks for, where it can

type Row = readonly [qname: string, qtype: number, verdict: Verdict, reason?: string, rule?: number];
const TABLES: readonly (readonly [title: string, policy: PolicySpec, rows: readonly Row[]])[] = [
  [
    'open DNS',
    OPEN,
    [
      ['www.example.com', A, 'pass'],
      ['www.evil.test', A, 'pass'],
      ['www.evil.test', TXT, 'pass'],
      ['www.example.com', NULL, 'pass'],
      ['.', NS, 'pass'],
    ],
  ],
  [
    'names that may be looked up',
    LOOKUP,
    [
      ['www.example.net', A, 'pass'],
      ['www.example.net', NULL, 'refuse', 'dns-type', 0],
      ['example.net', A, 'pass'],
      ['example.net', TXT, 'refuse', 'dns-strict', 0],
      ['xy.test', A, 'pass'],
      ['y.test', A, 'refuse', 'dns-strict', 0],
    ],
  ],
  [
    'strict DNS',
    STRICT,
    [
      ['www.example.com', A, 'pass'],
      ['www.example.com', AAAA, 'pass'],
      ['www.example.com', HTTPS, 'pass'],
      ['www.example.org', A, 'pass'],
      ['WWW.EXAMPLE.ORG', A, 'pass'],
      ['www.example.com', TXT, 'pass'],
      ['www.example.com', NULL, 'refuse', 'dns-type', 0],
      ['www.example.com', ANY, 'refuse', 'dns-type', 0],
      ['www.example.com', PRIVATE, 'refuse', 'dns-type', 0],
      ['www.example.org', NULL, 'pass'],
      ['www.example.org', ANY, 'pass'],
      ['evil.test', A, 'refuse', 'dns-strict', 0],
      ['a.www.example.org', A, 'refuse', 'dns-strict', 0],
      ['xexample.com', A, 'refuse', 'dns-strict', 0],
      ['example.com', A, 'pass'],
      ['example.com', NS, 'pass'],
      ['example.com', SOA, 'pass'],
      ['example.com', DS, 'pass'],
      ['example.com', DNSKEY, 'pass'],
      ['example.com', TXT, 'refuse', 'dns-strict', 0],
      ['example.com', AAAA, 'refuse', 'dns-strict', 0],
      ['example.com', NULL, 'refuse', 'dns-strict', 0],
      ['org', DS, 'pass'],
      ['org', HTTPS, 'refuse', 'dns-strict', 0],
      ['.', NS, 'pass'],
      ['.', DNSKEY, 'pass'],
      ['.', TXT, 'refuse', 'dns-strict', 0],
      ['net', NS, 'refuse', 'dns-strict', 0],
      ['x.org', NS, 'refuse', 'dns-strict', 0],
    ],
  ],
  [
    'deny-name',
    DENY,
    [
      ['evil.example.com', A, 'refuse', 'dns-denied', 3],
      ['EVIL.example.com', TXT, 'refuse', 'dns-denied', 3],
      ['x.evil.example.com', A, 'pass'],
      ['ads.example.com', A, 'refuse', 'dns-denied', 4],
      ['ads7.example.com', A, 'refuse', 'dns-denied', 4],
      ['a.ads7.example.com', A, 'pass'],
      ['www.example.net', A, 'refuse', 'dns-denied', 5],
      ['a.b.example.net', A, 'refuse', 'dns-denied', 5],
      ['example.net', A, 'pass'],
      ['www.example.com', A, 'pass'],
      ['www.evil.test', A, 'pass'],
    ],
  ],
  [
    'deny-name under strict DNS',
    DENY_STRICT,
    [
      ['evil.example.com', A, 'refuse', 'dns-denied', 3],
      ['www.evil.test', A, 'refuse', 'dns-strict', 0],
      ['www.example.com', A, 'pass'],
    ],
  ],
];

for (const [title, policy, rows] of TABLES) {
  for (const resolver of [RESOLVER4, RESOLVER6]) {
    test(`lookups at ${resolver} with ${title}`, async () => {
      await datapath.ensure(policy);
      for (const [qname, qtype, verdict, reason, rule] of rows) {
        const shown = `${qname} type ${qtype}`;
        assert.equal(ask(datapath, { qname, qtype, resolver }, 'egress').verdict, verdict, shown);
        const told = datapath
          .dnsEvents()
          .map((event) => [event.verdict, event.reason, event.ruleId, event.qname, event.qtype]);
        const expected = [['deny', reason, rule, qname.toLowerCase(), qtype]];
        assert.deepEqual(told, verdict === 'pass' ? [] : expected, shown);
      }
    });
  }
}

test('an answer to a refused lookup teaches nothing', async () => {
  await datapath.ensure(STRICT);
  const exchange = { qname: 'evil.test' };
  ask(datapath, exchange, 'egress');
  hear(datapath, answer({ answers: [aRecord('198.51.100.7')] }, exchange));
  assert.equal(datapath.learnedCount(), 0);
});

test('a denied name gives no lease, wherever it is asked; its address, learned by another, passes', async () => {
  await datapath.ensure(DENY);
  const exchange = { qname: 'evil.example.com' };
  ask(datapath, exchange, 'query');
  hear(datapath, answer({ answers: [aRecord('198.51.100.7')] }, exchange));
  assert.equal(datapath.learnedCount(), 0);
  ask(datapath);
  hear(datapath, answerA('198.51.100.7'));
  assert.equal(datapath.send('egress', outbound('198.51.100.7', tcp())), 'pass');
});

test('under strict DNS the target of a CNAME may be asked; not when its rule is withdrawn', async () => {
  const exchange = { qname: 'x7.cdn.test' };
  await datapath.apply(STRICT);
  assert.equal(ask(datapath, exchange, 'egress').verdict, 'refuse');
  ask(datapath, {}, 'egress');
  hear(datapath, answer({ answers: [record(QUERIED, CNAME, name('x7.cdn.test'))] }));
  assert.equal(ask(datapath, exchange, 'egress').verdict, 'pass');
  assert.equal(ask(datapath, { qname: 'y7.cdn.test' }, 'egress').verdict, 'refuse');
  await datapath.apply({ rules: { 2: RULES[2] }, strict: true });
  assert.equal(ask(datapath, exchange, 'egress').verdict, 'refuse');
  await datapath.apply(STRICT);
  assert.equal(ask(datapath, exchange, 'egress').verdict, 'pass');
});

test('a query in fragments, or in several datagrams of one buffer: refused under strict DNS', async () => {
  await datapath.ensure(STRICT);
  const segment = udp({ to: 53, payload: query() });
  const cut = fragments4(LOCAL4, RESOLVER4, segment, [24]).map((packet) => datapath.send('egress', packet));
  assert.deepEqual(cut, ['refuse', 'drop']);
  const two = Buffer.concat([query(), query({ qname: 'evil.test' })]);
  const frame = ethernet(outbound(RESOLVER4, udp({ to: 53, payload: two })));
  assert.equal(datapath.runSegmented('egress', frame, query().length), 'refuse');
  assert.equal(datapath.send('egress', outbound(RESOLVER4, segment)), 'pass');
});

const PORTS: readonly (readonly [what: string, to: string, port: number, verdict: Verdict])[] = [
  ['the resolver at port 53', RESOLVER4, 53, 'pass'],
  ['the resolver at port 853', RESOLVER4, 853, 'refuse'],
  ['the resolver at port 443', RESOLVER4, 443, 'refuse'],
  ['another host at port 53', '203.0.113.9', 53, 'refuse'],
];
for (const [what, to, port, verdict] of PORTS) {
  test(`${what}: ${verdict}`, async () => {
    await datapath.ensure(OPEN);
    const packet = (segment: typeof udp) => outbound(to, segment({ to: port, payload: query() }));
    assert.equal(datapath.send('egress', packet(udp)), verdict);
    assert.equal(datapath.send('egress', packet(tcp)), verdict);
  });
}

test('a query is judged every time: no flow of the resolver is kept', async () => {
  await datapath.apply(OPEN);
  assert.equal(ask(datapath, { qname: 'evil.test' }, 'egress').verdict, 'pass');
  await datapath.apply(STRICT);
  assert.equal(ask(datapath, { qname: 'evil.test' }, 'egress').verdict, 'refuse');
  assert.equal([...datapath.state.map('flows').entries()].length, 0);
});

test('a resolver that is trusted no more is ordinary', async () => {
  await datapath.ensure(OPEN);
  datapath.trust([RESOLVER6, 53]);
  assert.equal(ask(datapath, {}, 'egress').verdict, 'refuse');
});

test('queries on an interface that only learns pass under any policy', async () => {
  await datapath.ensure(DENY_STRICT);
  for (const qname of ['evil.example.com', 'evil.test']) {
    assert.equal(ask(datapath, { qname }, 'query').verdict, 'pass');
  }
});
