import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setOwnAddresses } from '../../src/datapath/host-facts.ts';
import { encodeStruct } from '../../src/datapath/struct.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { fragments6, type IpParts, inbound, ip, LOCAL6, optionsHeader, outbound } from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import { icmpv6, neighbourSolicitation, raw, type Segment, udp } from './segments.ts';

const LOOPBACK = 1;
const ON_LINK = '2001:db8::77';
const OFF_LINK = '2001:db8:2::9';
const LINK_LOCAL = 'fe80::77';
const SOLICITED_NODE = 'ff02::1:ff00:77';
const DHCP_SERVER = '192.0.2.1';
const datapath = await useHarness('egress', 'arrive');

/** No rule at all: what passes here passes under any policy. */
before(() => datapath.apply({}));

interface Row {
  readonly what: string;
  readonly to: string;
  readonly segment: Segment;
  readonly parts?: IpParts;
  readonly verdict: Verdict;
}

const solicitation = neighbourSolicitation(parseAddress(ON_LINK));
const advertisement = icmpv6({ type: 136, payload: parseAddress(ON_LINK) });
const near: IpParts = { hops: 255 };
const one: IpParts = { hops: 1 };
const mld2 = icmpv6({ type: 143, payload: Buffer.alloc(20) });
const ROWS: readonly Row[] = [
  { what: 'solicitation', to: SOLICITED_NODE, segment: solicitation, parts: near, verdict: 'pass' },
  { what: 'solicitation', to: ON_LINK, segment: solicitation, parts: near, verdict: 'pass' },
  { what: 'solicitation', to: LINK_LOCAL, segment: solicitation, parts: near, verdict: 'pass' },
  { what: 'solicitation', to: OFF_LINK, segment: solicitation, parts: near, verdict: 'drop' },
  {
    what: 'solicitation with hop limit 254',
    to: SOLICITED_NODE,
    segment: solicitation,
    parts: { hops: 254 },
    verdict: 'drop',
  },
  {
    what: 'solicitation with hop limit 254',
    to: ON_LINK,
    segment: solicitation,
    parts: { hops: 254 },
    verdict: 'drop',
  },
  { what: 'advertisement', to: ON_LINK, segment: advertisement, parts: near, verdict: 'pass' },
  { what: 'advertisement', to: 'ff02::1', segment: advertisement, parts: near, verdict: 'pass' },
  { what: 'advertisement', to: OFF_LINK, segment: advertisement, parts: near, verdict: 'drop' },
  { what: 'advertisement with hop limit 64', to: ON_LINK, segment: advertisement, verdict: 'drop' },
  {
    what: 'router solicitation',
    to: 'ff02::2',
    segment: icmpv6({ type: 133 }),
    parts: near,
    verdict: 'pass',
  },
  { what: 'router solicitation', to: OFF_LINK, segment: icmpv6({ type: 133 }), parts: near, verdict: 'drop' },
  {
    what: 'router solicitation with hop limit 1',
    to: 'ff02::2',
    segment: icmpv6({ type: 133 }),
    parts: one,
    verdict: 'drop',
  },
  {
    what: 'router advertisement',
    to: 'ff02::1',
    segment: icmpv6({ type: 134 }),
    parts: near,
    verdict: 'drop',
  },
  { what: 'redirect', to: ON_LINK, segment: icmpv6({ type: 137 }), parts: near, verdict: 'drop' },
  { what: 'echo request', to: ON_LINK, segment: icmpv6({ type: 128 }), parts: near, verdict: 'refuse' },
  {
    what: 'MLDv2 report',
    to: 'ff02::16',
    segment: mld2,
    parts: { hops: 1, extensions: [optionsHeader(0)] },
    verdict: 'pass',
  },
  {
    what: 'MLDv2 report with hop limit 2',
    to: 'ff02::16',
    segment: mld2,
    parts: { hops: 2 },
    verdict: 'drop',
  },
  { what: 'MLDv2 report', to: ON_LINK, segment: mld2, parts: one, verdict: 'drop' },
  { what: 'MLD report', to: 'ff02::1:3', segment: icmpv6({ type: 131 }), parts: one, verdict: 'pass' },
  { what: 'MLD done', to: 'ff02::2', segment: icmpv6({ type: 132 }), parts: one, verdict: 'pass' },
  { what: 'MLD query', to: 'ff02::1', segment: icmpv6({ type: 130 }), parts: one, verdict: 'drop' },
  { what: 'DHCP', to: '255.255.255.255', segment: udp({ from: 68, to: 67 }), verdict: 'pass' },
  { what: 'DHCP from port 67', to: '255.255.255.255', segment: udp({ from: 67, to: 67 }), verdict: 'drop' },
  { what: 'DHCP to port 68', to: '255.255.255.255', segment: udp({ from: 68, to: 68 }), verdict: 'drop' },
  { what: 'UDP', to: '255.255.255.255', segment: udp(), verdict: 'drop' },
  { what: 'DHCP', to: DHCP_SERVER, segment: udp({ from: 68, to: 67 }), verdict: 'refuse' },
  { what: 'DHCP', to: '192.0.2.255', segment: udp({ from: 68, to: 67 }), verdict: 'refuse' },
  { what: 'DHCPv6', to: 'ff02::1:2', segment: udp({ from: 546, to: 547 }), verdict: 'pass' },
  { what: 'DHCPv6 from port 547', to: 'ff02::1:2', segment: udp({ from: 547, to: 547 }), verdict: 'drop' },
  { what: 'DHCPv6', to: 'ff05::1:3', segment: udp({ from: 546, to: 547 }), verdict: 'drop' },
  { what: 'DHCPv6', to: OFF_LINK, segment: udp({ from: 546, to: 547 }), verdict: 'refuse' },
  {
    what: 'DHCP by the IPv6 ports',
    to: '255.255.255.255',
    segment: udp({ from: 546, to: 547 }),
    verdict: 'drop',
  },
  { what: 'multicast DNS', to: 'ff02::fb', segment: udp({ from: 5353, to: 5353 }), verdict: 'drop' },
  { what: 'multicast DNS', to: '224.0.0.251', segment: udp({ from: 5353, to: 5353 }), verdict: 'drop' },
  {
    what: 'ICMPv6 135 in IPv4',
    to: '192.0.2.77',
    segment: raw(58, Buffer.from(solicitation.bytes)),
    parts: near,
    verdict: 'drop',
  },
];

for (const { what, to, segment, parts, verdict } of ROWS) {
  test(`${what} to ${to}: ${verdict}`, () => {
    setOwnAddresses(datapath.state, [{ ifindex: LOOPBACK, address: parseAddress(LOCAL6), prefixLength: 64 }]);
    assert.equal(datapath.send('egress', outbound(to, segment, parts)), verdict);
  });
}

test('a solicitation in two fragments: drop', () => {
  const packets = fragments6(LOCAL6, SOLICITED_NODE, solicitation, [16]);
  for (const packet of packets) packet.writeUInt8(255, 7);
  assert.deepEqual(
    packets.map((packet) => datapath.send('egress', packet)),
    ['drop', 'drop'],
  );
});

test('duplicate address detection, from the unspecified address: pass', () => {
  assert.equal(datapath.send('egress', ip('::', SOLICITED_NODE, solicitation, near)), 'pass');
});

test('what is on the link of another interface is not on this one', () => {
  datapath.state
    .map('onlink')
    .set(
      encodeStruct('onlink_key', { prefix_bits: 32 + 64, ifindex: 999, addr: parseAddress(OFF_LINK) }),
      Buffer.from([1, 0, 0, 0]),
    );
  assert.equal(datapath.send('egress', outbound(OFF_LINK, solicitation, near)), 'drop');
});

const dhcpOffer = () => datapath.send('arrive', inbound(DHCP_SERVER, udp({ from: 67, to: 68 })));
const dhcpBroadcast = () => datapath.send('egress', outbound('255.255.255.255', udp({ from: 68, to: 67 })));
const dhcpRenewal = (to = DHCP_SERVER, from = 68) =>
  datapath.send('egress', outbound(to, udp({ from, to: 67 })));

test('DHCP to a server that answered our broadcast on this interface: pass', () => {
  assert.deepEqual([dhcpBroadcast(), dhcpOffer()], ['pass', 'pass']);
  assert.equal(dhcpRenewal(), 'pass');
  assert.equal(dhcpRenewal(DHCP_SERVER, 69), 'refuse');
  assert.equal(dhcpRenewal('192.0.2.2'), 'refuse');
});

test('DHCP to a server that answered before we asked: refuse', () => {
  dhcpOffer();
  assert.equal(dhcpRenewal(), 'refuse');
  dhcpBroadcast();
  assert.equal(dhcpRenewal(), 'refuse');
});

for (const [seconds, verdict] of [
  [29n, 'pass'],
  [31n, 'refuse'],
] as const) {
  test(`DHCP to a server that answered ${seconds} s after our broadcast: ${verdict}`, () => {
    dhcpBroadcast();
    const asked = process.hrtime.bigint() - seconds * 1_000_000_000n;
    datapath.rewrite('dhcp_servers', (value) => void value.writeBigUInt64LE(asked));
    dhcpOffer();
    assert.equal(dhcpRenewal(), verdict);
  });
}
