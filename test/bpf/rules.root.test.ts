import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outbound } from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import type { RuleSpec } from './policy-builder.ts';
import { icmp, icmpv6, raw, type Segment, sctp, tcp, udp } from './segments.ts';

const HOST = '198.51.100.7';
const HOST6 = '2001:db8:1::7';
const datapath = await useHarness('egress');

interface Row {
  readonly rules: { readonly [id: number]: RuleSpec };
  /** Leases to give before: an address and the rules that hold it. */
  readonly leases?: readonly (readonly [address: string, ruleIds: readonly number[]])[];
  readonly packets: readonly (readonly [
    to: string,
    segment: Segment,
    verdict: Verdict,
    reason: string,
    rule: number,
  ])[];
}

/** The title says what holds; each row shows it both ways. */
const ROWS: { readonly [title: string]: Row } = {
  'no rule allows nothing': {
    rules: {},
    packets: [
      [HOST, tcp(), 'refuse', 'no-rule', 0],
      [HOST6, tcp(), 'refuse', 'no-rule', 0],
    ],
  },
  'a prefix allows what lies in it': {
    rules: { 1: { cidr: '198.51.100.0/25' }, 2: { cidr: '2001:db8:1::/48' } },
    packets: [
      ['198.51.100.0', tcp(), 'pass', 'rule-cidr', 1],
      ['198.51.100.127', tcp(), 'pass', 'rule-cidr', 1],
      ['198.51.100.128', tcp(), 'refuse', 'no-rule', 0],
      ['198.51.99.255', tcp(), 'refuse', 'no-rule', 0],
      ['2001:db8:1:ffff::1', tcp(), 'pass', 'rule-cidr', 2],
      ['2001:db8:2::1', tcp(), 'refuse', 'no-rule', 0],
    ],
  },
  'all of IPv6 is none of IPv4': {
    rules: { 1: { cidr: '::/0' } },
    packets: [
      [HOST6, tcp(), 'pass', 'rule-cidr', 1],
      [HOST, tcp(), 'refuse', 'no-rule', 0],
    ],
  },
  'all of IPv4 is none of IPv6': {
    rules: { 1: { cidr: '0.0.0.0/0' } },
    packets: [
      [HOST, tcp(), 'pass', 'rule-cidr', 1],
      [HOST6, tcp(), 'refuse', 'no-rule', 0],
    ],
  },
  'anything is both families': {
    rules: { 1: { any: true, ports: ['443/tcp'] } },
    packets: [
      [HOST, tcp(), 'pass', 'rule-cidr', 1],
      [HOST6, tcp(), 'pass', 'rule-cidr', 1],
      [HOST, udp(), 'refuse', 'port', 0],
    ],
  },
  'an exception binds its own rule only': {
    rules: {
      1: { cidr: '198.51.100.0/24', except: ['198.51.100.0/28', '198.51.100.99'] },
      2: { cidr: HOST, ports: ['443/tcp'] },
    },
    packets: [
      ['198.51.100.16', tcp(), 'pass', 'rule-cidr', 1],
      ['198.51.100.8', tcp(), 'refuse', 'no-rule', 0],
      ['198.51.100.99', tcp(), 'refuse', 'no-rule', 0],
      [HOST, tcp(), 'pass', 'rule-cidr', 2],
      [HOST, udp(), 'refuse', 'port', 0],
    ],
  },
  'a denied prefix with an exception leaves that alone': {
    rules: { 1: { any: true }, 2: { denyCidr: '198.51.100.0/24', except: ['198.51.100.0/28'] } },
    packets: [
      [HOST, tcp(), 'pass', 'rule-cidr', 1],
      ['198.51.100.16', tcp(), 'refuse', 'deny-cidr', 2],
    ],
  },
  'audit lets pass what nothing allows, and reports it': {
    rules: {
      1: { any: true, audit: true },
      2: { cidr: '198.51.100.0/28' },
      3: { denyCidr: '203.0.113.0/24' },
    },
    packets: [
      [HOST, tcp(), 'pass', 'rule-cidr', 2],
      ['198.51.100.99', tcp(), 'pass', 'audit', 1],
      [HOST6, tcp(), 'pass', 'audit', 1],
      ['203.0.113.1', tcp(), 'refuse', 'deny-cidr', 3],
    ],
  },
  'audit of some ports refuses the others': {
    rules: { 1: { any: true, audit: true, ports: ['80/tcp'] } },
    packets: [[HOST, tcp(), 'refuse', 'port', 0]],
  },
  'audit of a name goes behind a rule that allows it': {
    rules: { 1: { cn: '.example.com', audit: true }, 2: { name: 'www.example.com', ports: ['443/tcp'] } },
    leases: [
      [HOST, [1, 2]],
      ['198.51.100.8', [1]],
    ],
    packets: [
      [HOST, tcp(), 'pass', 'rule-name', 2],
      [HOST, udp(), 'pass', 'audit', 1],
      ['198.51.100.8', tcp(), 'pass', 'audit', 1],
    ],
  },
  'deny beats a shorter allow': {
    rules: { 1: { cidr: '198.51.100.0/24' }, 2: { denyCidr: HOST } },
    packets: [
      [HOST, tcp(), 'refuse', 'deny-cidr', 2],
      ['198.51.100.8', tcp(), 'pass', 'rule-cidr', 1],
    ],
  },
  'deny beats a longer allow': {
    rules: { 1: { cidr: HOST }, 2: { denyCidr: '198.51.100.0/24' }, 3: { cidr: '198.51.0.0/16' } },
    packets: [
      [HOST, tcp(), 'refuse', 'deny-cidr', 2],
      ['198.51.101.1', tcp(), 'pass', 'rule-cidr', 3],
    ],
  },
  'deny beats a lease': {
    rules: { 1: { cn: '.example.com' }, 2: { denyCidr: HOST } },
    leases: [
      [HOST, [1]],
      ['198.51.100.8', [1]],
    ],
    packets: [
      [HOST, tcp(), 'refuse', 'deny-cidr', 2],
      ['198.51.100.8', tcp(), 'pass', 'rule-name', 1],
    ],
  },
  'a port without protocol is TCP and UDP': {
    rules: { 1: { cidr: HOST, ports: ['443'] } },
    packets: [
      [HOST, tcp({ to: 443 }), 'pass', 'rule-cidr', 1],
      [HOST, udp({ to: 443 }), 'pass', 'rule-cidr', 1],
      [HOST, tcp({ to: 444 }), 'refuse', 'port', 0],
      [HOST, tcp({ from: 443, to: 442 }), 'refuse', 'port', 0],
      [HOST, sctp({ to: 443 }), 'refuse', 'port', 0],
      [HOST, udp({ to: 443, l4Proto: 136 }), 'refuse', 'port', 0],
      [HOST, icmp({ type: 8 }), 'refuse', 'port', 0],
      [HOST, raw(47), 'refuse', 'port', 0],
    ],
  },
  'a port with protocol is of that one': {
    rules: { 1: { cidr: HOST, ports: ['443/tcp', '5000/sctp'] } },
    packets: [
      [HOST, tcp({ to: 443 }), 'pass', 'rule-cidr', 1],
      [HOST, udp({ to: 443 }), 'refuse', 'port', 0],
      [HOST, sctp({ to: 5000 }), 'pass', 'rule-cidr', 1],
      [HOST, tcp({ to: 5000 }), 'refuse', 'port', 0],
    ],
  },
  'a range has both its ends': {
    rules: { 1: { cidr: HOST, ports: ['8000-8100/udp', '65535/tcp', '1/tcp'] } },
    packets: [
      [HOST, udp({ to: 7999 }), 'refuse', 'port', 0],
      [HOST, udp({ to: 8000 }), 'pass', 'rule-cidr', 1],
      [HOST, udp({ to: 8100 }), 'pass', 'rule-cidr', 1],
      [HOST, udp({ to: 8101 }), 'refuse', 'port', 0],
      [HOST, tcp({ to: 8000 }), 'refuse', 'port', 0],
      [HOST, tcp({ to: 65535 }), 'pass', 'rule-cidr', 1],
      [HOST, tcp({ to: 1 }), 'pass', 'rule-cidr', 1],
      [HOST, tcp({ to: 0 }), 'refuse', 'port', 0],
    ],
  },
  'a rule has up to 16 ranges': {
    rules: { 1: { cidr: HOST, ports: Array.from({ length: 16 }, (_, index) => `${1000 + 10 * index}/tcp`) } },
    packets: [
      [HOST, tcp({ to: 1000 }), 'pass', 'rule-cidr', 1],
      [HOST, tcp({ to: 1150 }), 'pass', 'rule-cidr', 1],
      [HOST, tcp({ to: 1160 }), 'refuse', 'port', 0],
    ],
  },
  'icmp is ICMP of both families': {
    rules: { 1: { cidr: HOST, ports: ['icmp'] }, 2: { cidr: HOST6, ports: ['icmp'] } },
    packets: [
      [HOST, icmp({ type: 8, identifier: 1 }), 'pass', 'rule-cidr', 1],
      [HOST, icmp({ type: 13 }), 'pass', 'rule-cidr', 1],
      [HOST6, icmpv6({ type: 128, identifier: 1 }), 'pass', 'rule-cidr', 2],
      [HOST, tcp(), 'refuse', 'port', 0],
      [HOST, udp({ to: 8 }), 'refuse', 'port', 0],
    ],
  },
  'a type of ICMP is no other type, also in a flow': {
    rules: { 1: { cidr: HOST, ports: ['icmp:8', 'icmp:13'] } },
    packets: [
      [HOST, icmp({ type: 8, identifier: 1 }), 'pass', 'rule-cidr', 1],
      [HOST, icmp({ type: 0, identifier: 1 }), 'drop', 'port', 0],
      [HOST, icmp({ type: 13 }), 'pass', 'rule-cidr', 1],
      [HOST, icmp({ type: 5 }), 'drop', 'port', 0],
      [HOST, icmp({ type: 17 }), 'drop', 'port', 0],
    ],
  },
  'several rules share an address, each with its ports': {
    rules: {
      1: { cidr: HOST, ports: ['443/tcp'] },
      2: { cidr: '198.51.100.0/24', ports: ['80/tcp'] },
      3: { cidr: HOST, ports: ['53/udp'] },
      4: { cn: '.example.com', ports: ['22/tcp'] },
    },
    leases: [[HOST, [4]]],
    packets: [
      [HOST, tcp({ to: 443 }), 'pass', 'rule-cidr', 1],
      [HOST, tcp({ to: 80 }), 'pass', 'rule-cidr', 2],
      [HOST, udp({ to: 53 }), 'pass', 'rule-cidr', 3],
      [HOST, tcp({ to: 22 }), 'pass', 'rule-name', 4],
      [HOST, tcp({ to: 25 }), 'refuse', 'port', 0],
      ['198.51.100.8', tcp({ to: 443 }), 'refuse', 'port', 0],
      ['198.51.100.8', tcp({ to: 80 }), 'pass', 'rule-cidr', 2],
    ],
  },
  'eight rules hold an address': {
    rules: Object.fromEntries(
      Array.from({ length: 8 }, (_, index) => [
        index + 1,
        { name: `n${index}.test`, ports: [`${100 + index}/tcp`] },
      ]),
    ),
    leases: Array.from({ length: 8 }, (_, index) => [HOST, [index + 1]] as const),
    packets: [
      ...Array.from(
        { length: 8 },
        (_, index) => [HOST, tcp({ to: 100 + index }), 'pass', 'rule-name', index + 1] as const,
      ),
      [HOST, tcp({ to: 108 }), 'refuse', 'port', 0],
    ],
  },
  'a lease of a rule that is not in force allows nothing': {
    rules: { 1: { cn: '.example.com' } },
    leases: [[HOST, [2]]],
    packets: [[HOST, tcp(), 'refuse', 'no-rule', 0]],
  },
  'a prefix rule takes no lease': {
    rules: { 1: { cidr: '203.0.113.0/24' } },
    leases: [[HOST, [1]]],
    packets: [
      [HOST, tcp(), 'refuse', 'no-rule', 0],
      ['203.0.113.1', tcp(), 'pass', 'rule-cidr', 1],
    ],
  },
};

for (const [title, { rules, leases = [], packets }] of Object.entries(ROWS)) {
  test(title, async () => {
    await datapath.apply({ rules });
    for (const [address, ruleIds] of leases) datapath.teach(ruleIds, [address]);
    for (const [to, segment, verdict, reason, rule] of packets) {
      datapath.forget('series');
      const got = datapath.send('egress', outbound(to, segment));
      const events = datapath.flowEvents().map((event) => [event.reason, event.ruleId]);
      const shown = `${to}, protocol ${segment.l4Proto}: ${Buffer.from(segment.bytes.subarray(0, 4)).toString('hex')}`;
      assert.deepEqual([got, events], [verdict, [[reason, rule]]], shown);
    }
  });
}

test('a ninth rule takes the place of the lease that would end first', async () => {
  const names = Array.from({ length: 9 }, (_, index): [number, RuleSpec] => [
    index + 1,
    { name: `n${index}.test` },
  ]);
  await datapath.apply({ rules: Object.fromEntries(names) });
  for (let rule = 1; rule <= 8; rule += 1) datapath.teach([rule], [HOST], rule === 5 ? 100 : 1000);
  datapath.teach([9], [HOST], 1000);
  assert.deepEqual(
    datapath.leases(HOST).map(({ rule }) => rule),
    [1, 2, 3, 4, 6, 7, 8, 9],
  );
  assert.equal(datapath.counters().evicted, 1);
});

test('a shorter answer does not shorten a lease, a longer one renews it', async () => {
  await datapath.apply({ rules: { 1: { cn: '.example.com' } } });
  for (const [ttl, left] of [
    [600, 630],
    [60, 630],
    [900, 930],
  ] as const) {
    datapath.teach([1], [HOST], ttl);
    const [lease] = datapath.leases(HOST);
    assert.ok(lease && left - lease.seconds <= 1, `${lease?.seconds} s left after a TTL of ${ttl}`);
  }
});

test('a lease that ended: refused, told as such; renewed: passes', async () => {
  await datapath.apply({ rules: { 1: { cn: '.example.com' } } });
  const told = () => datapath.events().map(({ reason }) => reason);
  datapath.teach([1], [HOST]);
  assert.equal(datapath.send('egress', outbound(HOST, tcp())), 'pass');
  datapath.endLeases();
  assert.equal(datapath.send('egress', outbound(HOST, tcp())), 'refuse');
  datapath.teach([1], [HOST]);
  assert.equal(datapath.send('egress', outbound(HOST, tcp())), 'pass');
  assert.deepEqual(told(), ['rule-name', 'lease-ended', 'rule-name']);
});
