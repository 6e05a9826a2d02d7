import { escapeControl } from '../flow/escape.ts';
import type { Sample } from './sample.ts';

/** Stands in every label of the series that sums what found no room. */
export const OTHER = 'other';

interface Series {
  readonly labels: Sample['labels'];
  value: number;
}

/**
 * Counts by labels, in a bounded number of series: who comes first has one of its own, what finds no room is summed in
 * one whose labels are all `other`. So no series ever goes down, and nobody outside can make the table grow.
 */
export class BoundedCounts {
  readonly #names: readonly string[];
  readonly #limit: number;
  readonly #series = new Map<string, Series>();
  #others = 0;

  /** @param names of the labels @param limit series beside the one of the others */
  constructor(names: readonly string[], limit: number) {
    this.#names = names;
    this.#limit = limit;
  }

  /** Adds `count` to the series of these values, which are in the order of the names and may hold any character. */
  add(values: readonly string[], count: number): void {
    const key = values.join('\0');
    const known = this.#series.get(key);
    if (known) known.value += count;
    else if (this.#series.size >= this.#limit) this.#others += count;
    else {
      const labels = this.#label((index) => escapeControl(values[index] ?? ''));
      this.#series.set(key, { labels, value: count });
    }
  }

  /** What was counted for want of room in the series of the others. */
  get others(): number {
    return this.#others;
  }

  /** All series; that of the others is there once something was counted in it. */
  *samples(): Generator<Sample> {
    yield* this.#series.values();
    if (this.#others > 0) yield { labels: this.#label(() => OTHER), value: this.#others };
  }

  #label(textAt: (index: number) => string): Sample['labels'] {
    return Object.fromEntries(this.#names.map((name, index) => [name, textAt(index)]));
  }
}
