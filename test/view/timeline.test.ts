import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sumByTime, sumOf } from '../../src/view/timeline.ts';
import { FLOW, LIFECYCLE, LOOKUP } from '../flow/events.ts';

const SPANS = { endMs: 10_500, widthMs: 1_000, count: 3 };

describe('sumByTime', () => {
  test('puts attempts into the span of their time', () => {
    const buckets = sumByTime(
      [
        { ...FLOW, timeMs: 8_000 },
        { ...FLOW, timeMs: 8_999.9, count: 4 },
        { ...LOOKUP, timeMs: 9_000 },
        { ...FLOW, verdict: 'would_deny', timeMs: 10_999 },
      ],
      SPANS,
    );
    assert.deepEqual(buckets, [
      { startMs: 8_000, allow: 5, deny: 0, would_deny: 0 },
      { startMs: 9_000, allow: 0, deny: 1, would_deny: 0 },
      { startMs: 10_000, allow: 0, deny: 0, would_deny: 1 },
    ]);
    assert.deepEqual(sumOf(buckets), { allow: 5, deny: 1, would_deny: 1 });
  });

  test('leaves out what is before, after, or no attempt', () => {
    const others = [
      { ...FLOW, timeMs: 7_999 },
      { ...FLOW, timeMs: 11_000 },
      { ...LIFECYCLE, timeMs: 9_000 },
      { ...FLOW, reason: 'ended' as const, timeMs: 9_000 },
    ];
    assert.deepEqual(sumOf(sumByTime(others, SPANS)), { allow: 0, deny: 0, would_deny: 0 });
  });
});
