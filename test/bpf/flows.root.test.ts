import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { ip, LOCAL4, localFor, outbound } from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import type { PolicySpec } from './policy-builder.ts';
import { icmp, icmpv6, type Segment, sctp, tcp, tcpData, udp } from './segments.ts';

const HOST = '198.51.100.7';
const HOST6 = '2001:db8:1::7';
const datapath = await useHarness('egress');
const BY_NAME: PolicySpec = { rules: { 1: { cn: '.example.com' } } };

beforeEach(() => datapath.ensure(BY_NAME));

const send = (segment: Segment, to = HOST): Verdict => datapath.send('egress', outbound(to, segment));

/** A flow that a lease allowed, whose lease is over: what passes now, passes by the flow. */
function openFlow(first: Segment, to = HOST): void {
  datapath.teach([1], [to]);
  assert.equal(send(first, to), 'pass');
  datapath.endLeases();
  datapath.events();
}

const FLOWS: readonly (readonly [what: string, to: string, first: Segment, next: Segment])[] = [
  ['TCP', HOST, tcp(), tcpData()],
  ['TCP of IPv6', HOST6, tcp(), tcpData()],
  ['UDP', HOST, udp(), udp()],
  ['UDP of IPv6', HOST6, udp(), udp()],
  ['SCTP', HOST, sctp(), sctp()],
  ['an echo', HOST, icmp({ type: 8, identifier: 77 }), icmp({ type: 8, identifier: 77 })],
];
for (const [what, to, first, next] of FLOWS) {
  test(`${what} goes on after its lease, without a further event`, () => {
    openFlow(first, to);
    assert.equal(send(next, to), 'pass');
    assert.deepEqual(datapath.events(), []);
  });
}

const OTHERS: readonly (readonly [what: string, segment: Segment, to: string, from: string])[] = [
  ['a SYN in the flow', tcp(), HOST, LOCAL4],
  ['data from another port', tcpData({ from: 40_001 }), HOST, LOCAL4],
  ['data to another port', tcpData({ to: 80 }), HOST, LOCAL4],
  ['data to another host', tcpData(), '198.51.100.8', LOCAL4],
  ['data from another address', tcpData(), HOST, '192.0.2.11'],
  ['UDP with the same ports', udp(), HOST, LOCAL4],
];
for (const [what, segment, to, from] of OTHERS) {
  test(`${what} is judged anew: refused after the lease, passes with a lease`, () => {
    openFlow(tcp());
    const packet = ip(from, to, segment);
    assert.equal(datapath.send('egress', packet), 'refuse');
    datapath.teach([1], [to]);
    assert.equal(datapath.send('egress', packet), 'pass');
  });
}

test('an echo with another identifier is judged anew', () => {
  openFlow(icmp({ type: 8, identifier: 77 }));
  assert.equal(send(icmp({ type: 8, identifier: 78 })), 'refuse');
});

test('an echo reply is not of the flow of a request', () => {
  openFlow(icmp({ type: 8, identifier: 77 }));
  assert.equal(send(icmp({ type: 0, identifier: 77 })), 'drop');
});

test('ICMPv6 of the reserved type 0 is not of the flow of an echo reply', () => {
  openFlow(icmpv6({ type: 129 }), HOST6);
  assert.equal(send(icmpv6({ type: 129 }), HOST6), 'pass');
  assert.equal(send(icmpv6({ type: 0 }), HOST6), 'drop');
  datapath.teach([1], [HOST6]);
  assert.equal(send(icmpv6({ type: 0 }), HOST6), 'pass');
});

test('a refused SYN leaves the live flow alone', () => {
  openFlow(tcp());
  assert.equal(send(tcp()), 'refuse');
  assert.equal(send(tcpData()), 'pass');
});

test('RST passes and ends the flow', () => {
  openFlow(tcp());
  assert.equal(send(tcp({ flags: 'RA' })), 'pass');
  assert.equal(send(tcpData()), 'refuse');
});

const IDLE: readonly (readonly [
  what: string,
  first: Segment,
  before: readonly Segment[],
  next: Segment,
  idle: number,
  verdict: Verdict,
])[] = [
  ['UDP', udp(), [], udp(), 58, 'pass'],
  ['UDP', udp(), [], udp(), 61, 'refuse'],
  ['UDP that another CPU saw a second later', udp(), [], udp(), -1, 'pass'],
  ['an echo', icmp({ type: 8 }), [], icmp({ type: 8 }), 61, 'refuse'],
  ['TCP', tcp(), [], tcpData(), 100_000, 'pass'],
  ['TCP after FIN', tcp(), [tcp({ flags: 'FA' })], tcp({ flags: 'A' }), 118, 'pass'],
  ['TCP after FIN', tcp(), [tcp({ flags: 'FA' })], tcp({ flags: 'A' }), 121, 'refuse'],
];
for (const [what, first, before, next, idle, verdict] of IDLE) {
  test(`${what}, idle for ${idle} s: ${verdict}`, () => {
    openFlow(first);
    for (const segment of before) assert.equal(send(segment), 'pass');
    datapath.age('flows', idle);
    assert.equal(send(next), verdict);
  });
}

test('UDP that goes on every 50 s lives', () => {
  openFlow(udp());
  for (let round = 0; round < 3; round += 1) {
    datapath.age('flows', 50);
    assert.equal(send(udp()), 'pass');
  }
});

const DATA_WITHOUT_FLOW: readonly (readonly [flags: string, verdict: Verdict])[] = [
  ['A', 'refuse'],
  ['PA', 'refuse'],
  ['SA', 'refuse'],
  ['FA', 'refuse'],
  ['F', 'refuse'],
  ['', 'refuse'],
  ['SF', 'refuse'],
  ['SR', 'drop'],
  ['R', 'drop'],
  ['RA', 'drop'],
];
for (const [flags, verdict] of DATA_WITHOUT_FLOW) {
  test(`TCP with flags "${flags}" and without a flow: ${verdict}; with a lease: pass`, () => {
    assert.equal(send(tcp({ flags })), verdict);
    datapath.teach([1], [HOST]);
    assert.equal(send(tcp({ flags })), 'pass');
  });
}

test('data of a connection older than the start is told as established', () => {
  datapath.teach([1], [HOST]);
  send(tcpData());
  assert.deepEqual(
    datapath.flowEvents().map(({ verdict, reason, ruleId }) => [verdict, reason, ruleId]),
    [['allow', 'established', 1]],
  );
});

const SWAPS: readonly (readonly [
  what: string,
  policy: PolicySpec,
  verdict: Verdict,
  reasons: readonly string[],
])[] = [
  ['the same policy', BY_NAME, 'pass', []],
  ['the rule kept, others added', { rules: { ...BY_NAME.rules, 2: { cidr: '203.0.113.0/24' } } }, 'pass', []],
  ['strict DNS', { ...BY_NAME, strict: true }, 'pass', []],
  ['the rule withdrawn', { rules: {} }, 'refuse', ['ended', 'withdrawn']],
  ['another in its place', { rules: { 2: { cn: '.example.com' } } }, 'refuse', ['ended', 'withdrawn']],
  [
    'the host denied',
    { rules: { ...BY_NAME.rules, 2: { denyCidr: HOST } } },
    'refuse',
    ['ended', 'withdrawn'],
  ],
  ['another rule for the host', { rules: { 2: { cidr: HOST } } }, 'pass', ['ended', 'established']],
  [
    'another rule for another port',
    { rules: { 2: { cidr: HOST, ports: ['80/tcp'] } } },
    'refuse',
    ['ended', 'withdrawn'],
  ],
];
for (const [what, policy, verdict, reasons] of SWAPS) {
  test(`a flow over a swap, ${what}: ${verdict}`, async () => {
    openFlow(tcp());
    await datapath.apply(policy);
    assert.equal(send(tcpData()), verdict);
    assert.deepEqual(
      datapath.events().map(({ reason }) => reason),
      reasons,
    );
    await datapath.apply(policy);
    assert.equal(send(tcpData()), verdict);
  });
}

test('a flow of a rule that was withdrawn and came back under another id stays ended', async () => {
  openFlow(tcp());
  await datapath.apply({ rules: {} });
  assert.equal(send(tcpData()), 'refuse');
  await datapath.apply({ rules: { 2: { cn: '.example.com' } } });
  assert.equal(send(tcpData()), 'refuse');
});

test('a flow names its rule while it is withdrawn', async () => {
  openFlow(tcp());
  await datapath.apply({ rules: {} });
  send(tcpData());
  assert.deepEqual(
    datapath
      .flowEvents()
      .map(({ reason, ruleId, local, localPort }) => [reason, ruleId, local[15], localPort]),
    ['ended', 'withdrawn'].map((reason) => [reason, 1, Number(localFor(HOST).split('.').at(-1)), 40_000]),
  );
});
