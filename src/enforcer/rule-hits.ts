import { escapeControl } from '../flow/escape.ts';
import type { RuleHits } from '../metrics/census.ts';

/** What the kernel counted for one rule. */
export interface KernelHits {
  readonly allowed: number;
  readonly refused: number;
  readonly learned: number;
  readonly evicted: number;
}

interface Seen extends KernelHits {
  readonly turn: number;
}

type Group = { -readonly [Field in keyof RuleHits]: RuleHits[Field] } & { turn: number };

/**
 * Adds up what the kernel counts by number of a rule, by what its owner calls it: a hundred names may stand in one rule
 * of a policy. In a bounded number of rules, the first that were hit; none of the sums goes down while its rule stays.
 */
export class HitBook {
  readonly #limit: number;
  readonly #seen = new Map<number, Seen>();
  readonly #groups = new Map<string, Group>();
  #turn = 0;
  #others = 0;

  /** @param limit rules that are told apart */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Hits that found no room. */
  get others(): number {
    return this.#others;
  }

  /** Enters the counts of the rule with number `id`. Those of rules that were never hit need not be entered. */
  enter(id: number, rule: string, subject: string, hits: KernelHits): void {
    const before = this.#seen.get(id);
    this.#seen.set(id, { ...hits, turn: this.#turn });
    const more = (field: keyof KernelHits) => Math.max(0, hits[field] - (before?.[field] ?? 0));
    const key = `${subject}\0${rule}`;
    const group = this.#groups.get(key) ?? this.#open(key, rule, subject);
    if (!group) {
      this.#others += more('allowed') + more('refused') + more('learned') + more('evicted');
      return;
    }
    group.turn = this.#turn;
    group.allowed += more('allowed');
    group.refused += more('refused');
    group.learned += more('learned');
    group.evicted += more('evicted');
  }

  /** All sums, after every rule that was hit has been entered; those that were not have gone, and make room. */
  settle(): RuleHits[] {
    for (const [id, { turn }] of this.#seen) if (turn !== this.#turn) this.#seen.delete(id);
    for (const [key, { turn }] of this.#groups) if (turn !== this.#turn) this.#groups.delete(key);
    this.#turn += 1;
    return [...this.#groups.values()].map(({ turn: _turn, ...hits }) => hits);
  }

  #open(key: string, rule: string, subject: string): Group | undefined {
    if (this.#groups.size >= this.#limit) return undefined;
    const names = { rule: escapeControl(rule), subject: escapeControl(subject) };
    const group = { ...names, allowed: 0, refused: 0, learned: 0, evicted: 0, turn: this.#turn };
    this.#groups.set(key, group);
    return group;
  }
}
