import { escapeControl } from '../flow/escape.ts';
import type { RuleHits } from '../metrics/census.ts';

/** What the kernel counts of a rule, in the order of its place in four numbers. */
export const HITS = ['allowed', 'refused', 'learned', 'evicted'] as const;

/** The words of an owner for a rule. */
export interface RuleWords {
  readonly rule: string;
  readonly subject: string;
}

interface Group extends RuleWords {
  readonly counts: Float64Array;
  lastSeen: number;
}

/** Where a rule's hits go that find no room. */
const NO_GROUP = -1;

/**
 * Adds up what the kernel counts by number of a rule, by what its owner calls it: a hundred names may stand in one rule
 * of a policy. In a bounded number of rules, the first that were hit; none of the sums goes down while its rule stays.
 * A hundred thousand rules are looked at again and again, so their counts lie in arrays.
 */
export class HitBook {
  readonly #limit: number;
  readonly #wordsOf: (id: number) => RuleWords | undefined;
  readonly #places = new Map<number, number>();
  readonly #groups: (Group | undefined)[] = [];
  readonly #groupAt = new Map<string, number>();
  readonly #free: number[] = [];
  #counts = new Float64Array(0);
  #groupOf = new Int32Array(0);
  #lastSeen = new Uint32Array(0);
  #census = 1;
  #entered = 0;
  #others = 0;

  /** @param limit rules that are told apart @param wordsOf of a rule that is or was in force */
  constructor(limit: number, wordsOf: (id: number) => RuleWords | undefined) {
    this.#limit = limit;
    this.#wordsOf = wordsOf;
  }

  /** Hits that found no room. */
  get others(): number {
    return this.#others;
  }

  /** Enters what the kernel counted for the rule with number `id`. Rules that were never hit need not be entered. */
  enter(id: number, allowed: number, refused: number, learned: number, evicted: number): void {
    const place = this.#places.get(id) ?? this.#open(id);
    if (place === undefined) return;
    this.#lastSeen[place] = this.#census;
    this.#entered += 1;
    const group = this.#groups[this.#groupOf[place] ?? NO_GROUP];
    if (group) group.lastSeen = this.#census;
    this.#add(place, 0, allowed, group);
    this.#add(place, 1, refused, group);
    this.#add(place, 2, learned, group);
    this.#add(place, 3, evicted, group);
  }

  /** All sums, after every rule that was hit has been entered; those that were not have gone, and make room. */
  settle(): RuleHits[] {
    if (this.#entered < this.#places.size) this.#forgetGone();
    this.#census += 1;
    this.#entered = 0;
    return this.#groups.flatMap((group) => {
      if (!group) return [];
      const [allowed = 0, refused = 0, learned = 0, evicted = 0] = group.counts;
      return [{ rule: group.rule, subject: group.subject, allowed, refused, learned, evicted }];
    });
  }

  #add(place: number, field: number, now: number, group: Group | undefined): void {
    const at = place * HITS.length + field;
    const more = now - (this.#counts[at] ?? 0);
    if (more <= 0) return;
    this.#counts[at] = now;
    if (group) group.counts[field] = (group.counts[field] ?? 0) + more;
    else this.#others += more;
  }

  #open(id: number): number | undefined {
    const words = this.#wordsOf(id);
    if (!words) return undefined;
    const place = this.#free.pop() ?? this.#places.size;
    if (place >= this.#lastSeen.length) this.#grow();
    this.#counts.fill(0, place * HITS.length, (place + 1) * HITS.length);
    this.#groupOf[place] = this.#findGroup(words);
    this.#places.set(id, place);
    return place;
  }

  #findGroup({ rule, subject }: RuleWords): number {
    const key = `${subject}\0${rule}`;
    const known = this.#groupAt.get(key);
    if (known !== undefined) return known;
    if (this.#groupAt.size >= this.#limit) return NO_GROUP;
    const hole = this.#groups.indexOf(undefined);
    const index = hole < 0 ? this.#groups.length : hole;
    this.#groups[index] = {
      rule: escapeControl(rule),
      subject: escapeControl(subject),
      counts: new Float64Array(HITS.length),
      lastSeen: this.#census,
    };
    this.#groupAt.set(key, index);
    return index;
  }

  #grow(): void {
    const length = Math.max(1_024, 2 * this.#lastSeen.length);
    this.#counts = grown(this.#counts, new Float64Array(length * HITS.length));
    this.#groupOf = grown(this.#groupOf, new Int32Array(length));
    this.#lastSeen = grown(this.#lastSeen, new Uint32Array(length));
  }

  #forgetGone(): void {
    for (const [id, place] of this.#places) {
      if (this.#lastSeen[place] === this.#census) continue;
      this.#places.delete(id);
      this.#free.push(place);
    }
    for (const [key, index] of this.#groupAt) {
      if (this.#groups[index]?.lastSeen === this.#census) continue;
      this.#groupAt.delete(key);
      this.#groups[index] = undefined;
    }
  }
}

function grown<T extends Float64Array | Int32Array | Uint32Array>(before: T, after: T): T {
  after.set(before);
  return after;
}
