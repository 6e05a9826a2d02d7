import { LEVELS, type Level } from './level.ts';

/** How many lines of one level may come: `burst` at once, then `perSecond`. */
export interface LineRate {
  readonly burst: number;
  readonly perSecond: number;
}

/** How many lines of a level were left out. */
export interface LeftOut {
  readonly level: Level;
  readonly lines: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
  leftOut: number;
}

/**
 * Decides which lines are written where too many would drown the others: each level has a bucket of its own, so that
 * a flood of one takes nothing from another. What it leaves out is counted. Holds no clock: times are given to it, in
 * milliseconds of one that does not go back.
 */
export class LineLimit {
  readonly #rate: LineRate;
  readonly #buckets = new Map<Level, Bucket>();

  constructor(rate: LineRate) {
    this.#rate = rate;
  }

  /** Whether a line of this level is written now; one that is not is counted. */
  admit(level: Level, nowMs: number): boolean {
    const bucket = this.#fill(level, nowMs);
    if (bucket.tokens < 1) {
      bucket.leftOut += 1;
      return false;
    }
    bucket.tokens -= 1;
    return true;
  }

  /** What was left out since it was taken last, the most important level first. */
  takeLeftOut(): LeftOut[] {
    return LEVELS.flatMap((level) => {
      const bucket = this.#buckets.get(level);
      if (!bucket || bucket.leftOut === 0) return [];
      const { leftOut: lines } = bucket;
      bucket.leftOut = 0;
      return [{ level, lines }];
    });
  }

  #fill(level: Level, nowMs: number): Bucket {
    const { burst, perSecond } = this.#rate;
    const bucket = this.#buckets.get(level) ?? { tokens: burst, atMs: nowMs, leftOut: 0 };
    this.#buckets.set(level, bucket);
    const passedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.tokens = Math.min(burst, bucket.tokens + (passedMs * perSecond) / 1_000);
    bucket.atMs = nowMs;
    return bucket;
  }
}
