import type { Verdict } from '../flow/reason.ts';

/** Over so many whole seconds. */
const SECONDS = 5;

/** Counts of verdicts in the last seconds. */
export class Rates {
  readonly #buckets = new Map<number, { [verdict in Verdict]: number }>();

  /** Adds `count` verdicts at a time since 1970. */
  add(verdict: Verdict, count: number, timeMs: number): void {
    const second = Math.floor(timeMs / 1000);
    const bucket = this.#buckets.get(second) ?? { allow: 0, deny: 0, would_deny: 0 };
    bucket[verdict] += count;
    this.#buckets.set(second, bucket);
  }

  /** Verdicts in a second, as the mean of the last whole ones; forgets what is older. */
  at(nowMs: number): { readonly [verdict in Verdict]: number } {
    const now = Math.floor(nowMs / 1000);
    const sum = { allow: 0, deny: 0, would_deny: 0 };
    for (const [second, bucket] of this.#buckets) {
      if (second < now - SECONDS) this.#buckets.delete(second);
      else if (second < now) for (const verdict of VERDICTS) sum[verdict] += bucket[verdict];
    }
    for (const verdict of VERDICTS) sum[verdict] /= SECONDS;
    return sum;
  }
}

const VERDICTS = ['allow', 'deny', 'would_deny'] as const;
