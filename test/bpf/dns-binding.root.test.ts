import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { writeStruct } from '../../src/datapath/struct.ts';
import { bootTimeNs } from '../../src/libbpf/clock.ts';
import { message, name } from '../dns/raw-message.ts';
import {
  A,
  AAAA,
  answer,
  answerA,
  answerPacket,
  aRecord,
  ask,
  type Exchange,
  hear,
  ID,
  QNAME,
  query,
  queryPacket,
  question,
  RESOLVER4,
  RESOLVER6,
  STUB,
} from './dns-exchange.ts';
import { ethernet, fragments4, LOCAL4, optionsHeader } from './frames.ts';
import { useHarness } from './harness.ts';
import type { PolicySpec } from './policy-builder.ts';
import { CLIENT_PORT, udp } from './segments.ts';

const TAUGHT = '198.51.100.7';
const OTHER = '198.51.100.8';
const POLICY: PolicySpec = { rules: { 1: { cn: '.example.com' } }, dnsPorts: [53, 5353] };
const datapath = await useHarness('egress', 'query', 'query_l3', 'learn', 'learn_l3');

beforeEach(async () => {
  await datapath.ensure(POLICY);
  datapath.trust([RESOLVER4, 53], [RESOLVER6, 53], ['192.0.2.54', 5353], [STUB, 53], ['::1', 53]);
});

const isTaught = (address = TAUGHT): boolean => datapath.leases(address).length > 0;

/** What differs between the query and the answer, and how the answer is counted. */
const UNBOUND: readonly (readonly [what: string, exchange: Exchange, counter: string])[] = [
  ['another id', { id: ID + 1 }, 'unbound'],
  ['another client port', { clientPort: CLIENT_PORT + 1 }, 'unbound'],
  ['another client', { client: '192.0.2.11' }, 'unbound'],
  ['another trusted resolver', { resolver: STUB, client: LOCAL4 }, 'unbound'],
  ['another name', { qname: 'other.example.com' }, 'question'],
  ['a longer name', { qname: 'a.www.example.com' }, 'question'],
  ['a shorter name', { qname: 'example.com' }, 'question'],
  ['another type', { qtype: AAAA }, 'question'],
];
for (const [what, exchange, counter] of UNBOUND) {
  test(`an answer with ${what} teaches nothing; then the right one does`, () => {
    ask(datapath);
    assert.equal(hear(datapath, answer({ answers: [aRecord(OTHER)] }, exchange), exchange).verdict, 'pass');
    assert.deepEqual([isTaught(OTHER), datapath.counters()], [false, { queries: 1, [counter]: 1 }]);
    hear(datapath, answerA(TAUGHT));
    assert.equal(isTaught(), true);
  });
}

const UNTRUSTED: readonly (readonly [what: string, exchange: Exchange])[] = [
  ['a host that is not a resolver', { resolver: '203.0.113.9' }],
  ['another port of the resolver', { resolverPort: 54 }],
  ['a DNS port of another resolver', { resolverPort: 5353 }],
  ['the resolver by an address of the other family', { resolver: '2001:db8::54' }],
];
for (const [what, exchange] of UNTRUSTED) {
  test(`an answer of ${what} teaches nothing, asked or not`, () => {
    ask(datapath);
    hear(datapath, answerA(OTHER), exchange);
    ask(datapath, exchange);
    hear(datapath, answerA(OTHER), exchange);
    assert.deepEqual([isTaught(OTHER), datapath.counters()], [false, { queries: 1 }]);
  });
}

test('an answer nobody asked for teaches nothing', () => {
  hear(datapath, answerA(OTHER));
  assert.deepEqual([isTaught(OTHER), datapath.counters()], [false, { unbound: 1 }]);
});

test('a query that comes in, or an answer that goes out, does not bind', () => {
  hear(datapath, query());
  ask(datapath, {}, 'query', answerA(OTHER));
  hear(datapath, answerA(OTHER));
  assert.equal(isTaught(OTHER), false);
});

test('a second answer to one query teaches nothing', () => {
  ask(datapath);
  hear(datapath, answerA(TAUGHT));
  hear(datapath, answerA(OTHER));
  assert.deepEqual([isTaught(), isTaught(OTHER)], [true, false]);
  assert.equal(datapath.counters().unbound, 1);
});

test('a query asked twice has one answer', () => {
  ask(datapath);
  ask(datapath);
  hear(datapath, answerA(TAUGHT));
  hear(datapath, answerA(OTHER));
  assert.deepEqual([isTaught(), isTaught(OTHER)], [true, false]);
});

for (const [seconds, isTimely] of [
  [9, true],
  [11, false],
] as const) {
  test(`an answer ${seconds} s after the query ${isTimely ? 'teaches' : 'teaches nothing'}`, () => {
    ask(datapath);
    const asked = bootTimeNs() - BigInt(seconds) * 1_000_000_000n;
    datapath.rewrite('pending_queries', (value) =>
      writeStruct(value, 0, 'pending', { asked_boot_ns: asked }),
    );
    hear(datapath, answerA(TAUGHT));
    assert.deepEqual([isTaught(), datapath.counters().late ?? 0], [isTimely, isTimely ? 0 : 1]);
    hear(datapath, answerA(OTHER));
    assert.equal(isTaught(OTHER), false);
  });
}

const WAYS: readonly (readonly [what: string, exchange: Exchange])[] = [
  ['IPv4', {}],
  ['IPv6', { resolver: RESOLVER6 }],
  ['a resolver at port 5353', { resolver: '192.0.2.54', resolverPort: 5353 }],
  ['a VLAN tag', { tags: [0x8100] }],
  ['two tags', { tags: [0x88a8, 0x8100] }],
  ['IPv4 options', { parts: { options: Buffer.alloc(8, 1) } }],
  [
    'IPv6 extension headers',
    { resolver: RESOLVER6, parts: { extensions: [optionsHeader(0), optionsHeader(60)] } },
  ],
  ['source port 53', { clientPort: 53 }],
  ['a stub on loopback', { resolver: STUB }],
  ['a stub on loopback, IPv6', { resolver: '::1' }],
];
for (const [what, exchange] of WAYS) {
  test(`an exchange over ${what} teaches`, () => {
    assert.equal(ask(datapath, exchange).verdict, 'pass');
    assert.equal(hear(datapath, answerA(TAUGHT), exchange).verdict, 'pass');
    assert.deepEqual(
      datapath.leases(TAUGHT).map(({ rule }) => rule),
      [1],
    );
  });
}

test('an exchange without a link layer teaches', () => {
  datapath.run('query_l3', queryPacket());
  datapath.run('learn_l3', answerPacket(answerA(TAUGHT)));
  assert.equal(isTaught(), true);
});

test('a query that leaves by an enforced interface, answered on one that learns: teaches', () => {
  assert.equal(ask(datapath, {}, 'egress').verdict, 'pass');
  hear(datapath, answerA(TAUGHT));
  assert.equal(isTaught(), true);
});

test('a service at another port of the address of a stub teaches nothing, whatever port was asked', () => {
  for (const asked of [53, 34_567]) {
    ask(datapath, { resolver: STUB, resolverPort: asked });
    hear(datapath, answerA(OTHER), { resolver: STUB, resolverPort: 34_567 });
    assert.equal(isTaught(OTHER), false);
  }
  hear(datapath, answerA(TAUGHT), { resolver: STUB });
  assert.equal(isTaught(), true);
});

const CASES: readonly (readonly [asked: string, answered: string])[] = [
  ['WWW.eXample.COM', 'WWW.eXample.COM'],
  ['www.example.com', 'WWW.EXAMPLE.COM'],
  ['WwW.example.com', 'wWw.example.com'],
];
for (const [asked, answered] of CASES) {
  test(`asked ${asked}, answered ${answered}: teaches`, () => {
    const bytes = message({ id: ID, flags: 0x0100, question: question({ qname: asked }) });
    ask(datapath, {}, 'query', bytes);
    hear(datapath, answer({ question: question({ qname: answered }), answers: [aRecord(TAUGHT)] }));
    assert.equal(isTaught(), true);
  });
}

test('a name that no rule lists is observed and teaches nothing', () => {
  const exchange = { qname: 'www.example.org' };
  ask(datapath, exchange);
  hear(datapath, answer({ answers: [aRecord(OTHER)] }, exchange));
  assert.equal(isTaught(OTHER), false);
  assert.deepEqual(
    datapath.dnsEvents().map(({ reason, qname, addresses }) => [reason, qname, addresses.length]),
    [['observed', 'www.example.org', 1]],
  );
});

const UNREADABLE: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  [
    'with two questions',
    message({ id: ID, flags: 0x0100, questions: 2, question: [...question(), ...question()] }),
  ],
  ['with no question', message({ id: ID, flags: 0x0100, questions: 0, question: [] })],
  [
    'with an answer in it',
    message({ id: ID, flags: 0x0100, question: question(), answers: [aRecord(TAUGHT)] }),
  ],
  ['that is a response', message({ id: ID, flags: 0x8100, question: question() })],
  ['that is a status request', message({ id: ID, flags: 0x1100, question: question() })],
  ['that is a dynamic update', message({ id: ID, flags: 0x2800, question: question() })],
  ['in class CHAOS', message({ id: ID, flags: 0x0100, question: [...name(QNAME), 0, A, 0, 3] })],
  ['with a pointer', message({ id: ID, flags: 0x0100, question: [3, 119, 119, 119, 0xc0, 12, 0, A, 0, 1] })],
  ['cut within its question', query().slice(0, -1)],
  ['cut within its header', query().slice(0, 11)],
  ['of no byte', new Uint8Array(0)],
];
for (const [what, bytes] of UNREADABLE) {
  test(`a query ${what} passes and binds nothing`, () => {
    assert.equal(ask(datapath, {}, 'egress', bytes).verdict, 'pass');
    hear(datapath, answerA(OTHER));
    assert.deepEqual([isTaught(OTHER), datapath.counters()], [false, { unbound: 1 }]);
  });
}

test('a query in several datagrams of one buffer binds nothing', () => {
  assert.equal(datapath.runSegmented('egress', ethernet(queryPacket()), 20), 'pass');
  hear(datapath, answerA(OTHER));
  assert.equal(isTaught(OTHER), false);
});

test('a query in fragments passes and binds nothing; its answer in fragments is an event', () => {
  const cut = (from: string, to: string, payload: Uint8Array, ports: { from: number; to: number }) =>
    fragments4(from, to, udp({ ...ports, payload }), [24]);
  for (const packet of cut(LOCAL4, RESOLVER4, query(), { from: CLIENT_PORT, to: 53 })) {
    assert.equal(datapath.send('egress', packet), 'pass');
  }
  hear(datapath, answerA(OTHER));
  assert.equal(isTaught(OTHER), false);
  ask(datapath);
  for (const packet of cut(RESOLVER4, LOCAL4, answerA(OTHER), { from: 53, to: CLIENT_PORT })) {
    assert.equal(datapath.send('learn', packet), 'pass');
  }
  assert.equal(isTaught(OTHER), false);
  assert.deepEqual(
    datapath.dnsEvents().map(({ reason, unparsed, localPort }) => [reason, unparsed, localPort]),
    [['dns-unparsed', 'fragment', CLIENT_PORT]],
  );
});

const SWAPS: readonly (readonly [what: string, policy: PolicySpec, rules: readonly number[]])[] = [
  ['the same policy', POLICY, [1]],
  ['the rule withdrawn', { rules: {} }, []],
  ['another rule in its place', { rules: { 2: { cn: '.example.com' } } }, [2]],
  ['a further rule', { rules: { ...POLICY.rules, 2: { name: QNAME } } }, [1, 2]],
  ['the name denied', { rules: { ...POLICY.rules, 2: { denyName: QNAME } } }, []],
];
for (const [what, policy, rules] of SWAPS) {
  test(`a swap between query and answer, ${what}: taught for rules ${JSON.stringify(rules)}`, async () => {
    ask(datapath);
    await datapath.apply(policy);
    hear(datapath, answerA(TAUGHT));
    assert.deepEqual(
      datapath.leases(TAUGHT).map(({ rule }) => rule),
      rules,
    );
  });
}
