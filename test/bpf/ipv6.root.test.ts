import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  authenticationHeader,
  type Extension,
  fragmentHeader,
  type IpParts,
  ip,
  LOCAL6,
  optionsHeader,
  outbound,
  routingHeader,
} from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import { icmpv6, raw, type Segment, sctp, tcp, tcpData, udp } from './segments.ts';

const ALLOWED = '2001:db8:1::7';
const OTHER = '2001:db8:2::9';
const datapath = await useHarness('egress');

/** Tunnels to 198.51.100.7 and a scope of the link; other hosts of each kind are not listed. */
const LISTED = ['2002:c633:6407::/48', '2001:0:c633:6407::/64', '64:ff9b::c633:6407', 'fe80::7'];

before(() =>
  datapath.apply({
    rules: {
      1: { cidr: ALLOWED },
      2: { cidr: '198.51.100.7' },
      3: { cidr: '::/96' },
      ...Object.fromEntries(LISTED.map((cidr, index) => [4 + index, { cidr }])),
    },
  }),
);

interface Make {
  readonly what: string;
  readonly segment?: Segment;
  readonly parts?: IpParts;
  readonly allowed: Verdict;
  readonly other: Verdict;
}

const JUDGED = { allowed: 'pass', other: 'refuse' } as const;
const UNREADABLE = { allowed: 'drop', other: 'drop' } as const;
const with_ = (...extensions: Extension[]): { parts: IpParts } => ({ parts: { extensions } });
const hopByHop = optionsHeader(0);
const destination = optionsHeader(60);

const MAKES: readonly Make[] = [
  { what: 'TCP SYN', ...JUDGED },
  { what: 'TCP data without a flow', segment: tcpData(), ...JUDGED },
  { what: 'UDP', segment: udp(), ...JUDGED },
  { what: 'UDP to port 53', segment: udp({ to: 53 }), ...JUDGED },
  { what: 'echo request', segment: icmpv6({ type: 128, identifier: 9 }), ...JUDGED },
  { what: 'echo reply', segment: icmpv6({ type: 129, identifier: 9 }), allowed: 'pass', other: 'drop' },
  { what: 'redirect', segment: icmpv6({ type: 137 }), allowed: 'pass', other: 'drop' },
  { what: 'ICMP of IPv4 in IPv6', segment: raw(1), allowed: 'pass', other: 'drop' },
  { what: 'SCTP', segment: sctp(), ...JUDGED },
  { what: 'GRE', segment: raw(47), ...JUDGED },
  { what: 'ESP', segment: raw(50), ...JUDGED },
  { what: 'IPv4 in IPv6', segment: raw(4), ...JUDGED },
  { what: 'IPv6 in IPv6', segment: raw(41), ...JUDGED },
  { what: 'no next header', segment: raw(59), ...JUDGED },
  { what: 'mobility header', segment: raw(135), ...JUDGED },
  { what: 'hop-by-hop options', ...with_(hopByHop), ...JUDGED },
  { what: 'destination options', ...with_(destination), ...JUDGED },
  { what: '2 kB of destination options', ...with_(optionsHeader(60, 250)), ...JUDGED },
  { what: 'authentication header', ...with_(authenticationHeader()), ...JUDGED },
  { what: 'used-up routing header', ...with_(routingHeader(0)), ...JUDGED },
  { what: 'routing header with a segment left', ...with_(routingHeader(1)), ...UNREADABLE },
  { what: 'segment routing header with segments left', ...with_(routingHeader(2, 4)), ...UNREADABLE },
  {
    what: 'routing header with a segment left behind options',
    ...with_(hopByHop, routingHeader(1)),
    ...UNREADABLE,
  },
  { what: 'atomic fragment', ...with_(fragmentHeader({})), ...JUDGED },
  { what: 'atomic fragment behind options', ...with_(hopByHop, fragmentHeader({}), destination), ...JUDGED },
  {
    what: 'two fragment headers, the first not atomic',
    ...with_(fragmentHeader({ more: true }), fragmentHeader({})),
    ...UNREADABLE,
  },
  {
    what: 'chain of all headers',
    ...with_(hopByHop, destination, routingHeader(0), authenticationHeader(), destination),
    ...JUDGED,
  },
  { what: 'chain of 7 headers', ...with_(...Array.from({ length: 7 }, () => destination)), ...JUDGED },
  { what: 'chain of 8 headers', ...with_(...Array.from({ length: 8 }, () => destination)), ...UNREADABLE },
  {
    what: 'extension header past the end',
    segment: raw(60, Buffer.from([6, 30, 0, 0, 0, 0, 0, 0])),
    ...UNREADABLE,
  },
  { what: 'extension header cut off', segment: raw(60, Buffer.from([6, 0, 0, 0])), ...UNREADABLE },
  {
    what: 'hop-by-hop options and nothing behind',
    segment: raw(0, Buffer.from([6, 0, 1, 4, 0, 0, 0, 0])),
    ...UNREADABLE,
  },
  { what: 'version 5', parts: { version: 5 }, ...UNREADABLE },
  { what: 'version 4', parts: { version: 4 }, ...UNREADABLE },
  { what: 'payload length past the end', parts: { claimedLength: 21 }, ...UNREADABLE },
  { what: 'payload length before the TCP header', parts: { claimedLength: 19 }, ...UNREADABLE },
  { what: 'payload length 0', parts: { claimedLength: 0 }, ...UNREADABLE },
  { what: '4 bytes of UDP', segment: raw(17, Buffer.alloc(4)), ...UNREADABLE },
  { what: '7 bytes of ICMPv6', segment: raw(58, Buffer.alloc(7)), ...UNREADABLE },
];

for (const { what, segment = tcp(), parts, allowed, other } of MAKES) {
  test(`IPv6 ${what}: ${allowed} to an allowed host, ${other} to another`, () => {
    const etherType = parts?.version === 4 ? { version: 4 } : {};
    const to = (host: string) => outbound(host, segment, { ...parts, ...etherType });
    assert.equal(datapath.send('egress', to(ALLOWED)), allowed);
    assert.equal(datapath.send('egress', to(OTHER)), other);
  });
}

const MAPPED: readonly (readonly [from: string, to: string, verdict: Verdict, reason: string])[] = [
  [LOCAL6, '::ffff:198.51.100.7', 'drop', 'mapped'],
  ['::ffff:192.0.2.10', ALLOWED, 'drop', 'mapped'],
  [LOCAL6, '::c633:6407', 'pass', 'rule-cidr'],
  // 198.51.100.8 would be as near to a rule for IPv4 as the one that is listed.
  [LOCAL6, '2002:c633:6407::1', 'pass', 'rule-cidr'],
  [LOCAL6, '2002:c633:6408::1', 'refuse', 'no-rule'],
  [LOCAL6, '2001:0:c633:6407::1', 'pass', 'rule-cidr'],
  [LOCAL6, '2001:0:c633:6408::1', 'refuse', 'no-rule'],
  [LOCAL6, '64:ff9b::c633:6407', 'pass', 'rule-cidr'],
  [LOCAL6, '64:ff9b::c633:6408', 'refuse', 'no-rule'],
  [LOCAL6, '64:ff9b:1::c633:6407', 'refuse', 'no-rule'],
  [LOCAL6, 'fe80::7', 'pass', 'rule-cidr'],
  [LOCAL6, 'fe80::8', 'refuse', 'no-rule'],
];

for (const [from, to, verdict, reason] of MAPPED) {
  test(`IPv6 from ${from} to ${to}: ${verdict}, ${reason}`, () => {
    assert.equal(datapath.send('egress', ip(from, to, tcp())), verdict);
    assert.deepEqual(
      datapath.events().map((event) => event.reason),
      [reason],
    );
  });
}

test('rules for all of IPv4 open nothing of IPv6, and the other way round', async () => {
  const families = [
    {
      everything: '0.0.0.0/0',
      own: '203.0.113.9',
      others: [OTHER, '64:ff9b::cb00:7109', '2002:cb00:7109::1'],
    },
    { everything: '::/0', own: OTHER, others: ['203.0.113.9', '198.51.100.7'] },
  ];
  for (const { everything, own, others } of families) {
    await datapath.apply({ rules: { 1: { cidr: everything } } });
    assert.equal(datapath.send('egress', outbound(own, tcp())), 'pass', own);
    for (const other of others)
      assert.equal(datapath.send('egress', outbound(other, tcp())), 'refuse', other);
  }
  await datapath.apply({ rules: { 1: { cidr: '0.0.0.0/0' }, 2: { cidr: '::/0' } } });
  assert.equal(datapath.send('egress', outbound('::ffff:203.0.113.9', tcp(), { version: 6 })), 'drop');
});
