import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { message, record } from '../dns/raw-message.ts';
import { ask, type Exchange, ID, query, question, RESOLVER4, RESOLVER6 } from './dns-exchange.ts';
import { GATEWAY_MAC, LOCAL_MAC, localFor, optionsHeader, outbound } from './frames.ts';
import { useHarness } from './harness.ts';
import type { PolicySpec } from './policy-builder.ts';
import { readFrame, readPacket } from './read-frame.ts';
import { CLIENT_PORT, udp } from './segments.ts';

const STRICT: PolicySpec = { rules: { 1: { cn: '.example.com' } }, strict: true };
const TXT = 16;
const datapath = await useHarness('egress', 'egress_l3', 'arrive');

beforeEach(async () => {
  await datapath.ensure(STRICT);
  datapath.trust([RESOLVER4, 53], [RESOLVER6, 53]);
});

const around: readonly (readonly [what: string, exchange: Exchange])[] = [
  ['IPv4', {}],
  ['IPv6', { resolver: RESOLVER6 }],
  ['IPv4 in two tags', { tags: [0x88a8, 0x8100] }],
  ['IPv6 in a tag', { resolver: RESOLVER6, tags: [0x8100] }],
  ['IPv4 with options', { parts: { options: Buffer.alloc(40, 1) } }],
  ['IPv6 with extension headers', { resolver: RESOLVER6, parts: { extensions: [optionsHeader(60, 8)] } }],
];
// Every length of the question, so that each kind of padding of the checksum is met.
const names = [
  '.',
  'a',
  'ab',
  'abc',
  'evil.test',
  'MiXeD.Case.Test',
  `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`,
];
for (const [what, exchange] of around) {
  for (const qname of names) {
    test(`a refused lookup of ${qname.slice(0, 20)} over ${what} is answered NXDOMAIN`, () => {
      const asked = { ...exchange, qname, qtype: TXT };
      const bytes = message({
        id: 0xbeef,
        flags: 0x0110, // RD and CD
        question: question(asked),
        additionals: [record([0], 41, [], { rclass: 1232 })],
      });
      const { verdict, frame } = ask(datapath, asked, 'egress', bytes);
      assert.equal(verdict, 'refuse');
      const reply = readFrame(frame);
      const resolver = exchange.resolver ?? RESOLVER4;
      assert.deepEqual(
        [reply.from, reply.to, reply.l4Proto, reply.hops],
        [resolver, localFor(resolver), 17, 64],
      );
      assert.deepEqual(
        [reply.toMac, reply.fromMac, reply.tags],
        [LOCAL_MAC, GATEWAY_MAC, exchange.tags ?? []],
      );
      assert.deepEqual([reply.l4.readUInt16BE(0), reply.l4.readUInt16BE(2)], [53, CLIENT_PORT]);
      // QR, RD as asked, RA, NXDOMAIN; the question as it was asked, in its own letter case, and nothing else.
      const expected = message({ id: 0xbeef, flags: 0x8183, question: question(asked) });
      assert.deepEqual(reply.l4.subarray(8), Buffer.from(expected));
    });
  }
}

test('a refused lookup without a link layer is answered NXDOMAIN', () => {
  for (const resolver of [RESOLVER4, RESOLVER6]) {
    const packet = outbound(resolver, udp({ to: 53, payload: query({ qname: 'evil.test' }) }));
    const { verdict, frame } = datapath.run('egress_l3', packet);
    assert.equal(verdict, 'refuse');
    const expected = message({ id: ID, flags: 0x8183, question: question({ qname: 'evil.test' }) });
    assert.deepEqual(readPacket(frame).l4.subarray(8), Buffer.from(expected));
  }
});

test('RD is answered as it was asked', () => {
  const bytes = message({ id: ID, flags: 0, question: question({ qname: 'evil.test' }) });
  const { frame } = ask(datapath, {}, 'egress', bytes);
  assert.equal(readFrame(frame).l4.readUInt16BE(10), 0x8083);
});

test('our own NXDOMAIN, coming in, is no answer that teaches or opens anything', () => {
  const { frame } = ask(datapath, { qname: 'evil.test' }, 'egress');
  datapath.events();
  assert.equal(datapath.run('arrive', frame, datapath.onWire).verdict, 'pass');
  assert.deepEqual([datapath.events(), datapath.learnedCount()], [[], 0]);
  const { unbound = 0, malformed = 0 } = datapath.counters();
  assert.deepEqual([unbound, malformed], [0, 0]);
});
