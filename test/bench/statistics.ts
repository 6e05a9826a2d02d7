/** The middle of `samples`; the lower of the two middle ones. Throws RangeError for none. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 1 / 2);
}

/** The sample below which a quarter lie: for times to which other work on the machine can only add. */
export function lowerQuartile(samples: readonly number[]): number {
  return quantile(samples, 1 / 4);
}

/** `items` in random order. */
export function shuffle<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const found = sorted[Math.floor((sorted.length - 1) * share)];
  if (found === undefined) throw new RangeError('no samples');
  return found;
}
