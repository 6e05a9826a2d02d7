import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { ask, RESOLVER4 } from './dns-exchange.ts';
import { ethernet, fragments4, LOCAL4, outbound } from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import type { PolicySpec, RuleSpec } from './policy-builder.ts';
import { icmp, tcp, tcpData, udp } from './segments.ts';

const RULES: { readonly [id: number]: RuleSpec } = {
  1: { cidr: '198.51.100.0/24', ports: ['443/tcp'] },
  2: { denyCidr: '198.51.100.66' },
  3: { cn: '.example.com' },
  4: { denyName: 'evil.example.com' },
};
const ENFORCED: PolicySpec = { rules: RULES, strict: true };
const AUDITED: PolicySpec = { ...ENFORCED, audit: true };
const datapath = await useHarness('egress', 'query', 'learn');

beforeEach(() => datapath.trust([RESOLVER4, 53]));

const OTHER = '203.0.113.9';
const frame = (to: string, segment = tcp()) => ethernet(outbound(to, segment));
type Row = readonly [what: string, bytes: Uint8Array, enforced: Verdict, reason: string, rule: number];
const [, laterFragment = Buffer.alloc(0)] = fragments4(
  LOCAL4,
  OTHER,
  udp({ payload: Buffer.alloc(40) }),
  [24],
);
const ROWS: readonly Row[] = [
  ['TCP to a host without a rule', frame(OTHER), 'refuse', 'no-rule', 0],
  ['data to a host without a rule', frame(OTHER, tcpData()), 'refuse', 'no-rule', 0],
  ['UDP to a host without a rule', frame(OTHER, udp()), 'refuse', 'no-rule', 0],
  ['an echo to a host without a rule', frame(OTHER, icmp({ type: 8 })), 'refuse', 'no-rule', 0],
  ['a port without a rule', frame('198.51.100.7', tcp({ to: 80 })), 'refuse', 'port', 0],
  ['a denied host', frame('198.51.100.66'), 'refuse', 'deny-cidr', 2],
  ['a later fragment', ethernet(laterFragment), 'drop', 'fragment', 0],
  ['MPLS', ethernet(Buffer.alloc(60), { etherType: 0x8847 }), 'drop', 'ethertype', 0],
  ['an IHL of 4', ethernet(outbound('198.51.100.7', tcp(), { ihl: 4 })), 'drop', 'unreadable', 0],
];
for (const [what, bytes, enforced, reason, rule] of ROWS) {
  test(`${what}: ${enforced}; audited: passes as it is, told as would_deny, ${reason}`, async () => {
    await datapath.ensure(ENFORCED);
    assert.equal(datapath.run('egress', bytes).verdict, enforced);
    datapath.reset();
    await datapath.ensure(AUDITED);
    const outcome = datapath.run('egress', bytes);
    assert.equal(outcome.verdict, 'pass');
    assert.deepEqual(outcome.frame, Buffer.from(bytes));
    assert.deepEqual(
      datapath.flowEvents().map((event) => [event.verdict, event.reason, event.ruleId]),
      [['would_deny', reason, rule]],
    );
    assert.deepEqual(datapath.counters().refused ?? 0, 0);
  });
}

for (const [qname, reason, rule] of [
  ['www.evil.test', 'dns-strict', 0],
  ['evil.example.com', 'dns-denied', 4],
] as const) {
  test(`a lookup of ${qname}: refused; audited: passes as it is, told as would_deny, ${reason}`, async () => {
    await datapath.ensure(ENFORCED);
    assert.equal(ask(datapath, { qname }, 'egress').verdict, 'refuse');
    datapath.reset();
    datapath.trust([RESOLVER4, 53]);
    await datapath.ensure(AUDITED);
    assert.equal(ask(datapath, { qname }, 'egress').verdict, 'pass');
    assert.deepEqual(
      datapath.dnsEvents().map((event) => [event.verdict, event.reason, event.ruleId, event.qname]),
      [['would_deny', reason, rule, qname]],
    );
  });
}

test('what a rule allows is allowed under audit, too', async () => {
  await datapath.ensure(AUDITED);
  assert.equal(datapath.run('egress', frame('198.51.100.7')).verdict, 'pass');
  assert.deepEqual(
    datapath.flowEvents().map((event) => [event.verdict, event.ruleId]),
    [['allow', 1]],
  );
});

test('what passed because of audit opens no flow for the policy after it', async () => {
  await datapath.ensure(AUDITED);
  datapath.run('egress', frame(OTHER, udp()));
  await datapath.ensure(ENFORCED);
  assert.equal(datapath.run('egress', frame(OTHER, udp())).verdict, 'refuse');
});
