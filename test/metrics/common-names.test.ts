import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FlowEvent } from '../../src/flow/event.ts';
import { CommonNames, type RuleTarget } from '../../src/metrics/common-names.ts';
import { FLOW } from '../flow/events.ts';

const TARGETS: ReadonlyMap<number, RuleTarget> = new Map([
  [1, { kind: 'name', text: '.example.com' }],
  [2, { kind: 'prefix', text: '198.51.100.0/24' }],
  [3, { kind: 'any', text: 'any' }],
]);
const REFUSED: FlowEvent = withoutRule({ verdict: 'deny', reason: 'no-rule', names: [], leases: [] });

function withoutRule(changed: Partial<FlowEvent>): FlowEvent {
  const { rule: _rule, ruleId: _id, ...rest } = FLOW;
  return { ...rest, ...changed };
}

function labelsOf(...events: readonly FlowEvent[]): string[] {
  const names = new CommonNames((id) => TARGETS.get(id));
  for (const event of events) names.add(event);
  return [...names.samples()].map(({ labels, value }) =>
    [...Object.entries(labels).map(([name, text]) => `${name}=${text}`), value].join(' '),
  );
}

describe('CommonNames', () => {
  test('of a rule by name has its suffix, the address and the name that taught it', () => {
    assert.deepEqual(labelsOf({ ...FLOW, ruleId: 1 }, { ...FLOW, ruleId: 1 }), [
      'id=1 status=0 in_acl=1 cn=.example.com cidr=198.51.100.7 port=443 fqdn=www.example.com 2',
    ]);
  });

  test('of a rule by prefix has the prefix', () => {
    const event: FlowEvent = { ...FLOW, reason: 'rule-cidr', ruleId: 2, names: [], leases: [] };
    assert.deepEqual(labelsOf(event), ['id=2 status=0 in_acl=1 cn= cidr=198.51.100.0/24 port=443 fqdn= 1']);
  });

  test('of a rule for every address, and of one that nobody knows, has the address', () => {
    const event: FlowEvent = { ...FLOW, reason: 'rule-cidr', names: [], leases: [] };
    assert.deepEqual(labelsOf({ ...event, ruleId: 3 }, { ...event, ruleId: 99 }), [
      'id=3 status=0 in_acl=1 cn= cidr=198.51.100.7 port=443 fqdn= 1',
      'id=99 status=0 in_acl=1 cn= cidr=198.51.100.7 port=443 fqdn= 1',
    ]);
  });

  test('of what is refused has no rule, and counts what an event stands for', () => {
    assert.deepEqual(labelsOf(REFUSED, { ...REFUSED, count: 41, windowMs: 1_000 }), [
      'id=0 status=0 in_acl=0 cn= cidr=198.51.100.7 port=443 fqdn= 42',
    ]);
  });

  test('has status 1 where the lease was over', () => {
    assert.deepEqual(labelsOf({ ...REFUSED, reason: 'lease-ended', names: ['old.example.com'] }), [
      'id=0 status=1 in_acl=0 cn= cidr=198.51.100.7 port=443 fqdn=old.example.com 1',
    ]);
  });

  test('what passes by audit only is not in the list', () => {
    assert.deepEqual(labelsOf({ ...REFUSED, verdict: 'would_deny', reason: 'audit' }), [
      'id=0 status=0 in_acl=0 cn= cidr=198.51.100.7 port=443 fqdn= 1',
    ]);
  });

  test('leaves out packets that could not be read', () => {
    assert.deepEqual(labelsOf({ ...REFUSED, packet: { family: 'unread', etherType: 0x88cc } }), []);
  });

  test('has at most 2,002 series, and who scans takes no room from what is listed', () => {
    const names = new CommonNames((id) => TARGETS.get(id));
    const to = (dst: string, dport: number) =>
      ({ family: 'ipv4', proto: 'tcp', src: '192.0.2.1', dst, dport }) as const;
    for (let port = 0; port < 5_000; port++) names.add({ ...REFUSED, packet: to('203.0.113.1', port) });
    for (let port = 0; port < 5_000; port++)
      names.add({ ...FLOW, ruleId: 1, packet: to('198.51.100.7', port) });
    const samples = [...names.samples()];
    assert.equal(samples.length, 2_002);
    assert.equal(samples.filter(({ labels }) => labels.in_acl === '1').length, 1_501);
    assert.equal(
      samples.reduce((sum, { value }) => sum + value, 0),
      10_000,
    );
    assert.equal(names.others, 10_000 - 2_000);
    assert.deepEqual(
      samples
        .filter(({ labels }) => labels.id === 'other')
        .map(({ labels, value }) => [labels.in_acl, value]),
      [
        ['1', 3_500],
        ['0', 4_500],
      ],
    );
  });
});
