import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Event, PolicyAction } from '../../src/flow/event.ts';
import { EventCounts } from '../../src/metrics/event-counts.ts';
import type { Sample } from '../../src/metrics/sample.ts';
import { FLOW, LIFECYCLE, LOOKUP, TIME_MS } from '../flow/events.ts';

function count(...events: readonly Event[]): EventCounts {
  const counts = new EventCounts(() => undefined);
  for (const event of events) assert.equal(counts.take(event), true);
  return counts;
}

function listed(samples: Iterable<Sample>): string[] {
  return [...samples].map(({ labels, value }) => [...Object.values(labels), value].join(' '));
}

function policyEvent(action: PolicyAction, timeMs = TIME_MS): Event {
  return { seq: 1, timeMs, lost: 0, kind: 'policy', action, message: '', lines: [] };
}

describe('EventCounts', () => {
  test('counts verdicts by what an event stands for', () => {
    const deny = { ...FLOW, verdict: 'deny', reason: 'no-rule', count: 7 } as const;
    assert.deepEqual(listed(count(FLOW, deny, deny, LIFECYCLE).verdicts.samples()), [
      'allow rule-name .example.com host 1',
      'deny no-rule .example.com host 14',
    ]);
  });

  test('counts lookups apart, by code where the answer has one', () => {
    const failed = { ...LOOKUP, verdict: 'allow', reason: 'dns-failed', rcode: 'nxdomain' } as const;
    const counts = count(LOOKUP, failed, failed);
    assert.deepEqual(listed(counts.dns.samples()), [
      'deny dns-strict  host 1',
      'allow dns-failed nxdomain host 2',
    ]);
    assert.deepEqual(listed(counts.verdicts.samples()), []);
  });

  test('counts the end of a flow as no verdict, with what it carried', () => {
    const traffic = { bytes: 100, packets: 3, bytesIn: 2_000, packetsIn: 4 };
    const ended = { ...FLOW, reason: 'ended', traffic } as const;
    const counts = count(FLOW, ended, { ...ended, traffic: { bytes: 1, packets: 1 } });
    assert.deepEqual(listed(counts.verdicts.samples()), ['allow rule-name .example.com host 1']);
    assert.deepEqual(listed(counts.commonNames.samples()).length, 1);
    assert.deepEqual(listed(counts.ended.samples()), ['host 2']);
    assert.deepEqual(listed(counts.bytes.samples()), ['host out 101', 'host in 2000']);
    assert.deepEqual(listed(counts.packets.samples()), ['host out 4', 'host in 4']);
  });

  test('counts reloads by how they went', () => {
    const before = count(policyEvent('in-force'));
    assert.deepEqual(before.reloads, {
      reloaded: 0,
      unchanged: 0,
      failed: 0,
      isLastGood: true,
      successMs: TIME_MS,
    });
    const failed = count(
      policyEvent('in-force'),
      policyEvent('reloaded', TIME_MS + 1),
      policyEvent('unchanged', TIME_MS + 2),
      policyEvent('reload-failed', TIME_MS + 3),
    );
    assert.deepEqual(failed.reloads, {
      reloaded: 1,
      unchanged: 1,
      failed: 1,
      isLastGood: false,
      successMs: TIME_MS + 2,
    });
    assert.equal(failed.take(policyEvent('reloaded', TIME_MS + 4)), true);
    assert.equal(failed.reloads.isLastGood, true);
  });

  test('counts every event by kind', () => {
    assert.deepEqual(listed(count(FLOW, FLOW, LOOKUP, LIFECYCLE, policyEvent('in-force')).kinds.samples()), [
      'flow 2',
      'dns 1',
      'lifecycle 1',
      'policy 1',
    ]);
  });
});
