/** How often something was seen, when, and by which rule it was decided last. */
export interface Tally {
  count: number;
  firstMs: number;
  lastMs: number;
  rule: string | undefined;
}

/** Something that begins to be counted. */
export function newTally(timeMs: number): Tally {
  return { count: 0, firstMs: timeMs, lastMs: timeMs, rule: undefined };
}

/** Counts something once more, `count` times at once. */
export function addTo(tally: Tally, timeMs: number, count: number, rule: string | undefined): void {
  tally.count += count;
  tally.firstMs = Math.min(tally.firstMs, timeMs);
  tally.lastMs = Math.max(tally.lastMs, timeMs);
  tally.rule = rule;
}

/** What was counted, for a list. */
export function tallyOf({
  count,
  firstMs,
  lastMs,
  rule,
}: Tally): Omit<Tally, 'rule'> & { readonly rule?: string } {
  return { count, firstMs, lastMs, ...(rule !== undefined && { rule }) };
}
