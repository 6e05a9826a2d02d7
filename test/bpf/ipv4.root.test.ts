import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type IpParts, outbound } from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import { icmp, raw, type Segment, sctp, tcp, tcpData, udp } from './segments.ts';

const ALLOWED = '198.51.100.7';
const OTHER = '203.0.113.9';
const datapath = await useHarness('egress');

before(() => datapath.apply({ rules: { 1: { cidr: ALLOWED } } }));

/** A packet of a certain make, judged on its way to a host that a rule allows and to one that none does. */
interface Make {
  readonly what: string;
  readonly segment?: Segment;
  readonly parts?: IpParts;
  readonly tail?: Uint8Array;
  readonly allowed: Verdict;
  readonly other: Verdict;
}

const NOP = 1;
/** A source route by way of one more host, all of it still ahead or all behind; RFC 791 3.1. */
const route = (kind: number, pointer: number) => Buffer.from([kind, 7, pointer, 203, 0, 113, 9, NOP]);
const refusedRoute = { allowed: 'drop', other: 'drop' } as const;
const MAKES: readonly Make[] = [
  { what: 'TCP SYN', allowed: 'pass', other: 'refuse' },
  { what: 'TCP data without a flow', segment: tcpData(), allowed: 'pass', other: 'refuse' },
  { what: 'TCP RST', segment: tcp({ flags: 'R' }), allowed: 'pass', other: 'drop' },
  { what: 'UDP', segment: udp(), allowed: 'pass', other: 'refuse' },
  { what: 'UDP from source port 53', segment: udp({ from: 53 }), allowed: 'pass', other: 'refuse' },
  { what: 'UDP to port 53', segment: udp({ to: 53 }), allowed: 'pass', other: 'refuse' },
  { what: 'UDP-Lite', segment: udp({ l4Proto: 136 }), allowed: 'pass', other: 'refuse' },
  { what: 'echo request', segment: icmp({ type: 8, identifier: 9 }), allowed: 'pass', other: 'refuse' },
  { what: 'echo reply', segment: icmp({ type: 0, identifier: 9 }), allowed: 'pass', other: 'drop' },
  { what: 'timestamp request', segment: icmp({ type: 13 }), allowed: 'pass', other: 'drop' },
  { what: 'SCTP', segment: sctp(), allowed: 'pass', other: 'refuse' },
  { what: 'GRE', segment: raw(47), allowed: 'pass', other: 'refuse' },
  { what: 'ESP', segment: raw(50), allowed: 'pass', other: 'refuse' },
  { what: 'AH', segment: raw(51), allowed: 'pass', other: 'refuse' },
  { what: 'IPIP', segment: raw(4), allowed: 'pass', other: 'refuse' },
  { what: '6in4', segment: raw(41), allowed: 'pass', other: 'refuse' },
  { what: 'IGMP', segment: raw(2), allowed: 'pass', other: 'refuse' },
  { what: 'ICMPv6 in IPv4', segment: raw(58), allowed: 'pass', other: 'drop' },
  { what: 'protocol 255', segment: raw(255), allowed: 'pass', other: 'refuse' },
  ...Array.from({ length: 11 }, (_, words): Make => {
    const parts = { options: Buffer.alloc(4 * words, NOP) };
    return { what: `IHL ${5 + words}`, parts, allowed: 'pass', other: 'refuse' };
  }),
  { what: 'loose source route ahead', parts: { options: route(131, 4) }, ...refusedRoute },
  { what: 'strict source route ahead', parts: { options: route(137, 4) }, ...refusedRoute },
  {
    what: 'source route ahead behind other options',
    parts: { options: Buffer.from([NOP, 68, 4, 5, 0, 131, 7, 4, 203, 0, 113, 9]) },
    ...refusedRoute,
  },
  { what: 'option of length 0', parts: { options: Buffer.from([68, 0, 131, 7]) }, ...refusedRoute },
  { what: 'option past the header', parts: { options: Buffer.from([NOP, NOP, 68, 9]) }, ...refusedRoute },
  { what: 'source route at its end', parts: { options: route(131, 8) }, allowed: 'pass', other: 'refuse' },
  { what: 'record route', parts: { options: route(7, 4) }, allowed: 'pass', other: 'refuse' },
  {
    what: 'bytes like a route behind the end of options',
    parts: { options: Buffer.from([0, 131, 7, 4, 203, 0, 113, 9]) },
    allowed: 'pass',
    other: 'refuse',
  },
  { what: 'padding of the frame', tail: Buffer.alloc(18), allowed: 'pass', other: 'refuse' },
  { what: 'IHL 4', parts: { ihl: 4 }, allowed: 'drop', other: 'drop' },
  { what: 'IHL past the end', parts: { ihl: 15 }, allowed: 'drop', other: 'drop' },
  { what: 'version 5', parts: { version: 5 }, allowed: 'drop', other: 'drop' },
  { what: 'version 6', parts: { version: 6 }, allowed: 'drop', other: 'drop' },
  { what: 'total length past the end', parts: { claimedLength: 41 }, allowed: 'drop', other: 'drop' },
  { what: 'total length 0', parts: { claimedLength: 0 }, allowed: 'drop', other: 'drop' },
  {
    what: 'total length before the TCP header',
    parts: { claimedLength: 39 },
    allowed: 'drop',
    other: 'drop',
  },
  {
    what: 'total length shorter than the header',
    parts: { claimedLength: 19 },
    allowed: 'drop',
    other: 'drop',
  },
  { what: 'TCP data offset 4', segment: tcp({ dataOffset: 4 }), allowed: 'drop', other: 'drop' },
  { what: 'TCP data offset past the end', segment: tcp({ dataOffset: 6 }), allowed: 'drop', other: 'drop' },
  { what: '4 bytes of UDP', segment: raw(17, Buffer.alloc(4)), allowed: 'drop', other: 'drop' },
  { what: '7 bytes of ICMP', segment: raw(1, Buffer.alloc(7)), allowed: 'drop', other: 'drop' },
  { what: '11 bytes of SCTP', segment: raw(132, Buffer.alloc(11)), allowed: 'drop', other: 'drop' },
  { what: 'no payload of GRE', segment: raw(47, Buffer.alloc(0)), allowed: 'pass', other: 'drop' },
];

for (const { what, segment = tcp(), parts, tail = Buffer.alloc(0), allowed, other } of MAKES) {
  test(`IPv4 ${what}: ${allowed} to an allowed host, ${other} to another`, () => {
    const to = (host: string) => Buffer.concat([outbound(host, segment, parts), tail]);
    assert.equal(datapath.send('egress', to(ALLOWED)), allowed);
    assert.equal(datapath.send('egress', to(OTHER)), other);
  });
}
