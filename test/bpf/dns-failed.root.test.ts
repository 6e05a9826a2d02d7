import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { A, AAAA, answer, ask, type Exchange, hear, RESOLVER4, RESOLVER6 } from './dns-exchange.ts';
import { useHarness } from './harness.ts';
import type { PolicySpec } from './policy-builder.ts';

const POLICY: PolicySpec = { rules: { 1: { cn: '.example.com' } } };
const SERVFAIL = 2;
const NXDOMAIN = 3;
const REFUSED = 5;
const datapath = await useHarness('query', 'learn', 'egress');

beforeEach(async () => {
  await datapath.ensure(POLICY);
  datapath.trust([RESOLVER4, 53], [RESOLVER6, 53]);
});

/** Asks, and is answered with this code; answers what was told. */
function fail(exchange: Exchange, rcode: number) {
  ask(datapath, exchange);
  hear(datapath, answer({ flags: 0x8180 | rcode }, exchange), exchange);
  return datapath.dnsEvents();
}

const failures: readonly (readonly [what: string, exchange: Exchange, rcode: number])[] = [
  ['a listed name that is not there', { qname: 'gone.example.com' }, NXDOMAIN],
  ['a name that no rule lists', { qname: 'other.test' }, NXDOMAIN],
  ['a resolver that fails', { qname: 'www.example.com' }, SERVFAIL],
  ['a resolver that refuses, over IPv6', { qname: 'www.example.com', resolver: RESOLVER6 }, REFUSED],
];
for (const [what, exchange, rcode] of failures) {
  test(`${what}: told with its name, type and code, and teaches nothing`, () => {
    const told = fail(exchange, rcode);
    assert.deepEqual(
      told.map((event) => [event.verdict, event.reason, event.qname, event.qtype, event.rcode]),
      [['allow', 'dns-failed', exchange.qname, A, rcode]],
    );
    assert.equal(datapath.learnedCount(), 0);
  });
}

test('an answer without an error has none', () => {
  ask(datapath);
  hear(datapath, answer());
  assert.deepEqual(datapath.dnsEvents(), []);
});

test('an error that nobody asked for, and one to another question, tell nothing', () => {
  hear(datapath, answer({ flags: 0x8183 }));
  ask(datapath, { qname: 'one.example.com' });
  hear(datapath, answer({ flags: 0x8183 }, { qname: 'two.example.com' }), { qname: 'two.example.com' });
  assert.deepEqual(datapath.dnsEvents(), []);
});

test('the same failure again and again is one event, counted from then on', () => {
  assert.equal(fail({ qname: 'gone.example.com' }, NXDOMAIN).length, 1);
  for (let again = 0; again < 5; again++) assert.deepEqual(fail({ qname: 'gone.example.com' }, NXDOMAIN), []);
  datapath.rewrite('series', (value) => value.writeBigUInt64LE(value.readBigUInt64LE(0) - 2_000_000_000n, 0));
  const [told] = fail({ qname: 'gone.example.com' }, NXDOMAIN);
  assert.equal(told?.count, 6);
  assert.ok(told.windowMs >= 2_000 && told.windowMs < 4_000, `${told.windowMs}`);
});

test('a series that was quiet begins anew: it stands for itself, at once', () => {
  fail({ qname: 'gone.example.com' }, NXDOMAIN);
  datapath.rewrite('series', (value) => value.writeBigUInt64LE(value.readBigUInt64LE(0) - 9_000_000_000n, 0));
  const [told] = fail({ qname: 'gone.example.com' }, NXDOMAIN);
  assert.deepEqual([told?.count, told?.windowMs], [1, 0]);
});

test('many names that fail at one resolver are each told, and so are types and codes of one name', () => {
  const names = Array.from({ length: 200 }, (_, index) => `n${index}.example.com`);
  const told = names.flatMap((qname) => fail({ qname }, NXDOMAIN));
  assert.deepEqual(
    told.map(({ qname }) => qname),
    names,
  );
  assert.equal(fail({ qname: 'n0.example.com', qtype: AAAA }, NXDOMAIN).length, 1);
  assert.equal(fail({ qname: 'n0.example.com' }, SERVFAIL).length, 1);
});

test('a refusal that we answer ourselves has the code of that answer', async () => {
  await datapath.ensure({ rules: { 1: { cn: '.example.com' } }, strict: true });
  ask(datapath, { qname: 'other.test' }, 'egress');
  const [told] = datapath.dnsEvents();
  assert.deepEqual([told?.verdict, told?.reason, told?.rcode], ['deny', 'dns-strict', NXDOMAIN]);
});
