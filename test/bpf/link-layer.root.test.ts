import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { ethernet, outbound } from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import { icmp, tcp, udp } from './segments.ts';

const HOSTS = [
  { allowed: '198.51.100.7', other: '203.0.113.9' },
  { allowed: '2001:db8:1::7', other: '2001:db8:2::9' },
] as const;
const datapath = await useHarness('egress', 'egress_l3');

before(() => datapath.apply({ rules: { 1: { cidr: '198.51.100.7' }, 2: { cidr: '2001:db8:1::7' } } }));

const VLAN = 0x8100;
const QINQ = 0x88a8;
const TAGS: readonly (readonly [what: string, tags: readonly number[], allowed: Verdict, other: Verdict])[] =
  [
    ['no tag', [], 'pass', 'refuse'],
    ['a VLAN tag', [VLAN], 'pass', 'refuse'],
    ['a service tag', [QINQ], 'pass', 'refuse'],
    ['QinQ', [QINQ, VLAN], 'pass', 'refuse'],
    ['two VLAN tags', [VLAN, VLAN], 'pass', 'refuse'],
    ['three tags', [QINQ, VLAN, VLAN], 'drop', 'drop'],
    ['an old QinQ tag', [0x9100, VLAN], 'drop', 'drop'],
  ];

for (const { allowed: allowedHost, other: otherHost } of HOSTS) {
  for (const [what, tags, allowed, other] of TAGS) {
    test(`${what} to ${allowedHost}: ${allowed}, to ${otherHost}: ${other}`, () => {
      assert.equal(datapath.run('egress', ethernet(outbound(allowedHost, tcp()), { tags })).verdict, allowed);
      assert.equal(datapath.run('egress', ethernet(outbound(otherHost, tcp()), { tags })).verdict, other);
    });
  }

  test(`no link layer to ${allowedHost}: pass, to ${otherHost}: refuse`, () => {
    assert.equal(datapath.run('egress_l3', outbound(allowedHost, udp())).verdict, 'pass');
    assert.equal(datapath.run('egress_l3', outbound(otherHost, udp())).verdict, 'refuse');
  });
}

const ETHER_TYPES: readonly (readonly [what: string, etherType: number, verdict: Verdict])[] = [
  ['ARP', 0x0806, 'pass'],
  ['reverse ARP', 0x8035, 'drop'],
  ['MPLS', 0x8847, 'drop'],
  ['MPLS multicast', 0x8848, 'drop'],
  ['PPPoE session', 0x8864, 'drop'],
  ['PPPoE discovery', 0x8863, 'drop'],
  ['LLDP', 0x88cc, 'drop'],
  ['802.3 length', 0x0040, 'drop'],
  ['802.1ah', 0x88e7, 'drop'],
  ['MACsec', 0x88e5, 'drop'],
  ['an unknown ethertype', 0x1234, 'drop'],
  ['IPv6 in name, IPv4 inside', 0x86dd, 'drop'],
  ['nothing', 0, 'drop'],
];

for (const [what, etherType, verdict] of ETHER_TYPES) {
  for (const tags of [[], [VLAN], [QINQ, VLAN]]) {
    test(`${what} in ${tags.length} tags around a packet to an allowed host: ${verdict}`, () => {
      const frame = ethernet(outbound('198.51.100.7', tcp()), { tags, etherType });
      assert.equal(datapath.run('egress', frame).verdict, verdict);
    });
  }
}

test('an unknown ethertype is told with its number', () => {
  datapath.run('egress', ethernet(Buffer.alloc(46), { etherType: 0x8847 }));
  const [event] = datapath.flowEvents();
  assert.deepEqual([event?.verdict, event?.reason, event?.etherType], ['deny', 'ethertype', 0x8847]);
});

// The kernel takes no test frame that ends within the IP header when the ethertype is IP's own.
for (const bytes of [18, 19, 37, 38, 45, 57]) {
  test(`a tagged frame cut to ${bytes} bytes: drop`, () => {
    const frame = ethernet(outbound('198.51.100.7', tcp()), { tags: [VLAN] });
    assert.equal(datapath.run('egress', frame.subarray(0, bytes)).verdict, 'drop');
  });
}

test('a tag with nothing behind it: drop', () => {
  assert.equal(
    datapath.run('egress', ethernet(Buffer.alloc(0), { tags: [VLAN] }).subarray(0, 16)).verdict,
    'drop',
  );
});

const RAW: readonly (readonly [what: string, first: number, verdict: Verdict])[] = [
  ['version 4', 0x45, 'pass'],
  ['version 5', 0x55, 'drop'],
  ['version 0', 0x05, 'drop'],
];
for (const [what, first, verdict] of RAW) {
  test(`no link layer, ${what}: ${verdict}`, () => {
    const packet = outbound('198.51.100.7', icmp({ type: 8 }));
    packet.writeUInt8(first, 0);
    assert.equal(datapath.run('egress_l3', packet).verdict, verdict);
  });
}
