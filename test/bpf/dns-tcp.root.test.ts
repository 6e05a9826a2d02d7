import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { internetChecksum, pseudoHeader } from './checksum.ts';
import {
  AAAA,
  answer,
  answerA,
  aRecord,
  ask,
  framed,
  hear,
  hearTcp,
  query,
  RESOLVER4,
  RESOLVER6,
  sendTcp,
} from './dns-exchange.ts';
import { ethernet, GATEWAY_MAC, LOCAL_MAC, localFor, outbound } from './frames.ts';
import { useHarness } from './harness.ts';
import { readFrame } from './read-frame.ts';
import { tcp } from './segments.ts';

const TAUGHT = '198.51.100.7';
const OTHER = '198.51.100.8';
const POLICY = { rules: { 1: { cn: '.example.com' } } };
const STRICT = { ...POLICY, strict: true };
const datapath = await useHarness('egress', 'query', 'learn');

beforeEach(async () => {
  await datapath.ensure(POLICY);
  datapath.trust([RESOLVER4, 53], [RESOLVER6, 53]);
});

/** Sequence numbers: C is the client's, S the resolver's next one once the handshake is over. */
const C = 1000;
const S = 0xfffffff0; // an answer wraps it

const isTaught = (address = TAUGHT) => datapath.leases(address).length > 0;
const events = () => datapath.dnsEvents().map(({ reason, unparsed }) => unparsed ?? reason);

function shake(resolver = RESOLVER4, s = S): void {
  const exchange = { resolver };
  sendTcp(datapath, { flags: 'S', sequence: C - 1 }, exchange);
  hearTcp(datapath, { flags: 'SA', sequence: s - 1, acknowledged: C }, exchange);
  sendTcp(datapath, { flags: 'A', sequence: C, acknowledged: s }, exchange);
}

function askTcp(resolver = RESOLVER4, s = S, payload = query()): void {
  sendTcp(datapath, { flags: 'PA', sequence: C, acknowledged: s, payload }, { resolver });
}

for (const resolver of [RESOLVER4, RESOLVER6]) {
  test(`an answer by TCP of ${resolver} teaches`, () => {
    shake(resolver);
    askTcp(resolver);
    hearTcp(
      datapath,
      { flags: 'PA', sequence: S, acknowledged: C + 35, payload: answerA(TAUGHT) },
      { resolver },
    );
    assert.equal(isTaught(), true);
  });
}

test('an answer behind an empty acknowledgement, and with FIN, teaches', () => {
  shake();
  askTcp();
  hearTcp(datapath, { flags: 'A', sequence: S });
  hearTcp(datapath, { flags: 'FPA', sequence: S, payload: answerA(TAUGHT) });
  assert.equal(isTaught(), true);
});

test('two queries of one connection are answered one after the other', () => {
  shake();
  askTcp();
  const first = answerA(TAUGHT);
  hearTcp(datapath, { flags: 'PA', sequence: S, payload: first });
  const next = S + 2 + first.length;
  askTcp(RESOLVER4, next, query({ id: 2 }));
  hearTcp(datapath, {
    flags: 'PA',
    sequence: next,
    payload: answer({ answers: [aRecord(OTHER)] }, { id: 2 }),
  });
  assert.deepEqual([isTaught(), isTaught(OTHER)], [true, true]);
});

test('two queries in one segment, as glibc sends them, are both answered', () => {
  shake();
  const [a, aaaa] = [query({ id: 1 }), query({ id: 2, qtype: AAAA })];
  const both = Buffer.concat([framed(a), framed(aaaa)]);
  sendTcp(datapath, { flags: 'PA', sequence: C, acknowledged: S, payload: both, framed: false });
  const first = answer({}, { id: 2, qtype: AAAA });
  hearTcp(datapath, { flags: 'PA', sequence: S, payload: first });
  hearTcp(datapath, {
    flags: 'PA',
    sequence: S + 2 + first.length,
    payload: answer({ answers: [aRecord(TAUGHT)] }, { id: 1 }),
  });
  assert.equal(isTaught(), true);
});

const WRONG_SEQUENCES: readonly (readonly [what: string, sequence: number, events: readonly string[]])[] = [
  ['one too low', S - 1, []],
  ['one too high', S + 1, ['split']],
  ['far too low', S - 100_000, []],
  ['far too high', S + 0x40000000, []],
  ['none of it', 0x12345678, []],
];
for (const [what, sequence, told] of WRONG_SEQUENCES) {
  test(`a segment whose sequence number is ${what} teaches nothing; then the right one does`, () => {
    shake();
    askTcp();
    hearTcp(datapath, { flags: 'PA', sequence, payload: answerA(OTHER) });
    assert.deepEqual([isTaught(OTHER), datapath.counters().sequence, events()], [false, 1, told]);
    hearTcp(datapath, { flags: 'PA', sequence: S, payload: answerA(TAUGHT) });
    assert.equal(isTaught(), true);
  });
}

test('a segment that was sent again teaches once', () => {
  shake();
  askTcp();
  hearTcp(datapath, { flags: 'PA', sequence: S, payload: answerA(TAUGHT) });
  hearTcp(datapath, { flags: 'PA', sequence: S, payload: answerA(OTHER) });
  assert.deepEqual([isTaught(), isTaught(OTHER), events()], [true, false, ['learned']]);
});

test('an answer without a connection teaches nothing, also to a query by UDP', () => {
  hearTcp(datapath, { flags: 'PA', sequence: S, payload: answerA(OTHER) });
  assert.deepEqual([isTaught(OTHER), datapath.counters()], [false, { sequence: 1 }]);
});

test('a query by UDP is not answered by TCP, nor one by TCP by UDP', () => {
  shake();
  ask(datapath);
  hearTcp(datapath, { flags: 'PA', sequence: S, payload: answerA(OTHER) });
  assert.deepEqual([isTaught(OTHER), datapath.counters()], [false, { queries: 1, unbound: 1 }]);
  hear(datapath, answerA(TAUGHT));
  assert.equal(isTaught(), true);
  datapath.reset();
  datapath.trust([RESOLVER4, 53]);
  shake();
  askTcp();
  hear(datapath, answerA(OTHER));
  assert.deepEqual([isTaught(OTHER), datapath.counters()], [false, { queries: 1, unbound: 1 }]);
  hearTcp(datapath, { flags: 'PA', sequence: S, payload: answerA(TAUGHT) });
  assert.equal(isTaught(), true);
});

test('a connection from a port that was in use before has its own numbers', () => {
  shake();
  askTcp();
  const lower = S - 0x30000000;
  shake(RESOLVER4, lower);
  askTcp(RESOLVER4, lower);
  hearTcp(datapath, { flags: 'PA', sequence: lower, payload: answerA(TAUGHT) });
  assert.equal(isTaught(), true);
});

const whole = framed(answerA(OTHER));
const SPLIT: readonly (readonly [
  what: string,
  segments: readonly Uint8Array[],
  events: readonly string[],
])[] = [
  ['cut in two', [whole.subarray(0, 30), whole.subarray(30)], ['split', 'split']],
  ['the length alone', [whole.subarray(0, 2), whole.subarray(2)], ['split', 'split']],
  ['one byte alone', [whole.subarray(0, 1), whole.subarray(1)], ['split', 'split']],
  ['two messages in one', [Buffer.concat([whole, whole])], ['split']],
  ['a message and a piece of the next', [Buffer.concat([whole, whole.subarray(0, 9)])], ['split']],
  ['a length that is too long', [Buffer.concat([Buffer.from([0x7f, 0xff]), whole.subarray(2)])], ['split']],
];
for (const [what, segments, told] of SPLIT) {
  test(`an answer by TCP, ${what}: teaches nothing and is an event for each segment`, () => {
    shake();
    askTcp();
    let sequence = S;
    for (const payload of segments) {
      hearTcp(datapath, { flags: 'PA', sequence, payload, framed: false });
      sequence += payload.length;
    }
    assert.deepEqual([isTaught(OTHER), events()], [false, told]);
  });
}

const QUERIES: readonly (readonly [
  what: string,
  flags: string,
  payload: Uint8Array,
  open: string,
  strict: string,
])[] = [
  ['a listed name', 'PA', framed(query()), 'pass', 'pass'],
  ['a name that is not listed', 'PA', framed(query({ qname: 'www.example.org' })), 'pass', 'reset'],
  [
    'a listed name and one that is not',
    'PA',
    Buffer.concat([framed(query()), framed(query({ qname: 'www.example.org' }))]),
    'pass',
    'reset',
  ],
  ['half a query', 'PA', framed(query()).subarray(0, 20), 'pass', 'reset'],
  [
    'a query and a piece of the next',
    'PA',
    Buffer.concat([framed(query()), Buffer.from([0])]),
    'pass',
    'reset',
  ],
  ['five queries', 'PA', Buffer.concat(Array.from({ length: 5 }, () => framed(query()))), 'pass', 'reset'],
  ['a query in the SYN', 'S', framed(query()), 'pass', 'refuse'],
  ['a SYN', 'S', Buffer.alloc(0), 'pass', 'pass'],
  ['an acknowledgement', 'A', Buffer.alloc(0), 'pass', 'pass'],
  ['FIN', 'FA', Buffer.alloc(0), 'pass', 'pass'],
  ['not DNS', 'PA', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'pass', 'reset'],
];
const RST = 4;

/** What becomes of a segment to the resolver; `reset`: it goes on as a RST, whose checksum holds. */
function fateOf(flags: string, payload: Uint8Array, resolver: string, partial = false): string {
  const ipBytes = resolver.includes(':') ? 40 : 20;
  const sent = ethernet(outbound(resolver, tcp({ to: 53, flags, sequence: C, acknowledged: S, payload })));
  if (partial) {
    const addresses = sent.subarray(14 + ipBytes - (ipBytes === 20 ? 8 : 32), 14 + ipBytes);
    const half = addresses.length / 2;
    const pseudo = pseudoHeader(
      addresses.subarray(0, half),
      addresses.subarray(half),
      6,
      20 + payload.length,
    );
    sent.writeUInt16BE(~internetChecksum(pseudo) & 0xffff, 14 + ipBytes + 16);
  }
  const { verdict, frame } = datapath.run('egress', sent);
  if (verdict !== 'pass' || (frame.readUInt8(14 + ipBytes + 13) & RST) === 0) return verdict;
  if (partial) {
    // The device adds up what is behind the pseudo header; then it holds.
    const l4 = frame.subarray(14 + ipBytes, 14 + ipBytes + 20);
    l4.writeUInt16BE(internetChecksum(l4), 16);
  }
  const { from, to, l4, toMac, fromMac } = readFrame(frame);
  assert.deepEqual([from, to, toMac, fromMac], [localFor(resolver), resolver, GATEWAY_MAC, LOCAL_MAC]);
  assert.deepEqual([l4.length, l4.readUInt16BE(2), l4.readUInt32BE(4), l4[13]], [20, 53, C, RST]);
  return 'reset';
}

for (const [what, flags, payload, open, strict] of QUERIES) {
  test(`${what} by TCP to the resolver: ${open}; under strict DNS: ${strict}`, async () => {
    assert.equal(fateOf(flags, payload, RESOLVER4), open);
    await datapath.ensure(STRICT);
    assert.equal(fateOf(flags, payload, RESOLVER4), strict);
    assert.equal(fateOf(flags, payload, RESOLVER6), strict);
  });
}

for (const resolver of [RESOLVER4, RESOLVER6]) {
  test(`a refused lookup at ${resolver} whose checksum the device fills in resets the resolver`, async () => {
    await datapath.ensure(STRICT);
    const unlisted = framed(query({ qname: 'www.example.org' }));
    assert.equal(fateOf('PA', unlisted, resolver, true), 'reset');
  });
}
