import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DnsEvent, type Event, LIFECYCLE_ACTIONS, POLICY_ACTIONS } from '../../src/flow/event.ts';
import { LEVELS, levelOf, severityOf } from '../../src/flow/level.ts';

const HEAD = { seq: 1, timeMs: 0, lost: 0 };

function judged(verdict: DnsEvent['verdict']): Event {
  return {
    ...HEAD,
    kind: 'dns',
    verdict,
    reason: 'no-rule',
    policy: 'flags',
    subject: 'host',
    iface: 'eth0',
    packet: { family: 'unread', etherType: 0 },
    count: 1,
    windowMs: 0,
    addresses: [],
  };
}

describe('severityOf', () => {
  test('has the numbers of syslog(3)', () => {
    assert.deepEqual(LEVELS.map(severityOf), [3, 4, 5, 6]);
  });
});

describe('levelOf', () => {
  for (const [verdict, level] of [
    ['allow', 'info'],
    ['deny', 'notice'],
    ['would_deny', 'notice'],
  ] as const)
    test(`${verdict} is ${level}`, () => assert.equal(levelOf(judged(verdict)), level));

  test('of what happens to policies a reload that failed needs attention', () => {
    const levels = POLICY_ACTIONS.map((action) =>
      levelOf({ ...HEAD, kind: 'policy', action, message: '', lines: [] }),
    );
    assert.deepEqual(levels, ['notice', 'notice', 'notice', 'warning']);
  });

  test('of what happens to the enforcer a lost interface and lost events need attention', () => {
    const warned = LIFECYCLE_ACTIONS.filter(
      (action) => levelOf({ ...HEAD, kind: 'lifecycle', action, message: '' }) === 'warning',
    );
    assert.deepEqual(warned, ['detached', 'events-lost']);
  });
});
