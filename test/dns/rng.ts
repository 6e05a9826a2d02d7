/** A seeded source of choices; the same seed makes the same choices on every machine. */
export interface Rng {
  readonly seed: number;
  /** 0 up to, not including, `limit`. */
  below(limit: number): number;
  /** True in about one of `n` calls. */
  oneIn(n: number): boolean;
  pick<T>(choices: readonly [T, ...T[]]): T;
  bytes(length: number): Uint8Array<ArrayBuffer>;
}

/** A generator (mulberry32) for `seed`, of which 32 bits count. */
export function makeRng(seed: number): Rng {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (limit: number): number => Math.floor((next() / 2 ** 32) * limit);
  return {
    seed: seed >>> 0,
    below,
    oneIn: (n) => below(n) === 0,
    pick: (choices) => choices[below(choices.length)] ?? choices[0],
    bytes: (length) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += 1) bytes[at] = next() >>> 24;
      return bytes;
    },
  };
}
