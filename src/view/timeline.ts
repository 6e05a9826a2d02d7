import type { Event } from '../flow/event.ts';
import type { Verdict } from '../flow/reason.ts';
import { isAttempt } from './attempt.ts';

/** The attempts of one span of time, by verdict. */
export interface Bucket extends Record<Verdict, number> {
  readonly startMs: number;
}

/** The spans of a timeline: `count` of them, `widthMs` long each, the last of which holds `endMs`. */
export interface Spans {
  readonly endMs: number;
  readonly widthMs: number;
  readonly count: number;
}

/** Sums up attempts by spans of time, the oldest first. Spans begin at multiples of their length. */
export function sumByTime(events: Iterable<Event>, { endMs, widthMs, count }: Spans): Bucket[] {
  const first = Math.floor(endMs / widthMs) - count + 1;
  const buckets = Array.from(
    { length: count },
    (_, index): Bucket => ({ startMs: (first + index) * widthMs, allow: 0, deny: 0, would_deny: 0 }),
  );
  for (const event of events) {
    if (!isAttempt(event)) continue;
    const bucket = buckets[Math.floor(event.timeMs / widthMs) - first];
    if (bucket) bucket[event.verdict] += event.count;
  }
  return buckets;
}

/** The attempts of all spans together. */
export function sumOf(buckets: readonly Bucket[]): Record<Verdict, number> {
  const sum = { allow: 0, deny: 0, would_deny: 0 };
  for (const bucket of buckets) {
    sum.allow += bucket.allow;
    sum.deny += bucket.deny;
    sum.would_deny += bucket.would_deny;
  }
  return sum;
}
