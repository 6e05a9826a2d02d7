import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { ip, localFor, outbound } from './frames.ts';
import { useHarness } from './harness.ts';
import type { PolicySpec } from './policy-builder.ts';
import { icmp, icmpv6, tcp, tcpData, udp } from './segments.ts';

const V4 = '198.51.100.7';
const V6 = '2001:db8:9::7';
const RULE = 7;
const POLICY: PolicySpec = { rules: { [RULE]: { any: true }, 8: { denyCidr: '203.0.113.0/24' } } };
const IDLE_SECONDS = 61;
const datapath = await useHarness('egress', 'arrive');

beforeEach(() => datapath.ensure(POLICY));

const bytes = (length: number) => Buffer.alloc(length, 0x61);

/** The ends that were told, as far as they differ. */
function ends() {
  return datapath
    .flowEvents()
    .filter(({ reason }) => reason === 'ended')
    .map(({ verdict, ruleId, l4Proto, remotePort, traffic }) => ({
      verdict,
      ruleId,
      l4Proto,
      remotePort,
      ...traffic,
    }));
}

for (const to of [V4, V6]) {
  test(`a UDP flow to ${to}: bytes of payload and packets, told when its next packet comes too late`, () => {
    for (const length of [100, 0, 23]) datapath.send('egress', outbound(to, udp({ payload: bytes(length) })));
    assert.deepEqual(ends(), []);
    datapath.age('flows', IDLE_SECONDS);
    datapath.send('egress', outbound(to, udp({ payload: bytes(5) })));
    const end = { verdict: 'allow', ruleId: RULE, l4Proto: 17, remotePort: 443, bytes: 123, packets: 3 };
    assert.deepEqual(ends(), [end]);
    // That packet began a flow of its own.
    datapath.age('flows', IDLE_SECONDS);
    datapath.send('egress', outbound(to, udp()));
    assert.deepEqual(ends(), [{ ...end, bytes: 5, packets: 1 }]);
  });

  test(`a forwarded TCP connection to ${to}: told with its FIN, once`, () => {
    datapath.send('egress', outbound(to, tcp({ flags: 'S' })));
    datapath.send('egress', outbound(to, tcpData({ payload: bytes(300) })));
    datapath.send('egress', outbound(to, tcpData({ payload: bytes(200) })));
    assert.deepEqual(ends(), []);
    datapath.send('egress', outbound(to, tcp({ flags: 'FA' })));
    const end = { verdict: 'allow', ruleId: RULE, l4Proto: 6, remotePort: 443, bytes: 500, packets: 4 };
    assert.deepEqual(ends(), [end]);
    datapath.send('egress', outbound(to, tcp({ flags: 'FA' })));
    datapath.send('egress', outbound(to, tcp({ flags: 'R' })));
    assert.deepEqual(ends(), []);
  });

  test(`a forwarded TCP connection to ${to} that is reset: told with the RST`, () => {
    datapath.send('egress', outbound(to, tcp({ flags: 'S' })));
    datapath.send('egress', outbound(to, tcp({ flags: 'R' })));
    assert.deepEqual(
      ends().map(({ packets }) => packets),
      [2],
    );
  });
}

test('an echo: its type, its payload behind the header', () => {
  for (const segment of [icmp({ type: 8, identifier: 9 }), icmp({ type: 8, identifier: 9 })])
    datapath.send('egress', ip(localFor(V4), V4, segment));
  datapath.send('egress', ip(localFor(V6), V6, icmpv6({ type: 128, identifier: 9 })));
  datapath.age('flows', IDLE_SECONDS);
  datapath.events();
  datapath.send('egress', ip(localFor(V4), V4, icmp({ type: 8, identifier: 9 })));
  datapath.send('egress', ip(localFor(V6), V6, icmpv6({ type: 128, identifier: 9 })));
  const told = datapath.flowEvents().filter(({ reason }) => reason === 'ended');
  assert.deepEqual(
    told.map(({ icmpType, localPort, remotePort, traffic }) => [
      icmpType,
      localPort,
      remotePort,
      traffic?.packets,
    ]),
    [
      [8, 9, 0, 2],
      [128, 9, 0, 1],
    ],
  );
});

test('a flow whose rule is withdrawn: its end, then the refusal', async () => {
  datapath.send('egress', outbound(V4, udp({ payload: bytes(10) })));
  datapath.events();
  await datapath.apply({ rules: { 9: { cidr: '203.0.113.0/24' } } });
  datapath.send('egress', outbound(V4, udp({ payload: bytes(10) })));
  assert.deepEqual(
    datapath.flowEvents().map(({ verdict, reason, ruleId }) => [verdict, reason, ruleId]),
    [
      ['allow', 'ended', RULE],
      ['deny', 'withdrawn', RULE],
    ],
  );
});

test('what is refused has no end', () => {
  datapath.send('egress', outbound('203.0.113.1', tcp({ flags: 'S' })));
  datapath.send('egress', outbound('203.0.113.1', tcp({ flags: 'R' })));
  assert.deepEqual(ends(), []);
});
