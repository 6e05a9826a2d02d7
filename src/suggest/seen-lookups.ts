import type { Fate, SeenLookup } from './seen.ts';
import { addTo, newTally, type Tally, tallyOf } from './tally.ts';

/** Names that are told apart, of all subjects together. */
const MAX_LOOKUPS = 16_384;

interface Entry extends Tally {
  readonly fate: Fate;
}

/** One lookup, or `count` of a name. */
export interface Looked {
  readonly subject: string;
  /** As `plainName` makes it. */
  readonly name: string;
  readonly fate: Fate;
  readonly timeMs: number;
  readonly count: number;
  readonly rule?: string;
}

/** Collects which subject looked up which names. */
export class SeenLookups {
  readonly #names = new Map<string, Map<string, Entry>>();
  #size = 0;

  /** Answers whether there was room for it. */
  enter({ subject, name, fate, timeMs, count, rule }: Looked): boolean {
    const names = this.#names.get(subject) ?? new Map<string, Entry>();
    this.#names.set(subject, names);
    const known = names.get(name);
    if (!known && this.#size >= MAX_LOOKUPS) return false;
    if (!known) this.#size += 1;
    // What passed once is in the list, whatever became of it later, but for what its owner denies.
    const isKept = known?.fate === 'passed' && fate === 'refused';
    const entry: Entry = { ...(known ?? newTally(timeMs)), fate: isKept ? 'passed' : fate };
    addTo(entry, timeMs, count, rule);
    names.set(name, entry);
    return true;
  }

  /** Whether a subject looked a name up; where not all are known, any may be one. */
  has(subject: string, name: string): boolean {
    return this.#size >= MAX_LOOKUPS || (this.#names.get(subject)?.has(name) ?? false);
  }

  /** All of them. */
  list(): SeenLookup[] {
    return [...this.#names].flatMap(([subject, names]) =>
      [...names].map(
        ([name, entry]): SeenLookup => ({
          kind: 'lookup',
          subject,
          name,
          ...tallyOf(entry),
          fate: entry.fate,
        }),
      ),
    );
  }
}

/** The text of a name by which it is known: in lower case, without a final dot. */
export function plainName(name: string): string {
  const lower = name.toLowerCase();
  return lower.length > 1 && lower.endsWith('.') ? lower.slice(0, -1) : lower;
}
