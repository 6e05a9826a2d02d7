import { UsageError } from '../errors.ts';

/** Rules of one effect that may cover one address; as in bpf/contract.h. */
export const MAX_COVERING = 32;

/**
 * Sets of rule ids, each kept once. A set is known by its number, 0 is the empty one. A set is made by
 * adding its ids in ascending order, so some sets are there only on the way to others.
 */
export class RuleSets {
  readonly #lists: number[][] = [];
  /** By number of a set: where one more rule leads. */
  readonly #next: Map<number, number>[] = [];
  readonly #nameRule: (ruleId: number) => string;
  /** What was asked for last, and the answer: neighbours in a table are often of one rule. */
  #last = { set: 0, ruleId: 0, number: 0 };

  /** @param nameRule how a rule is called in messages */
  constructor(nameRule: (ruleId: number) => string) {
    this.#nameRule = nameRule;
  }

  /** The ids of each set, sorted; at the index number - 1. */
  get lists(): readonly (readonly number[])[] {
    return this.#lists;
  }

  /** The number of the set that has one rule more. Throws UsageError past MAX_COVERING rules. */
  add(set: number, ruleId: number): number {
    const last = this.#last;
    if (last.set === set && last.ruleId === ruleId) return last.number;
    const number = this.#add(set, ruleId);
    this.#last = { set, ruleId, number };
    return number;
  }

  /** The number of the set that lacks this rule. */
  remove(set: number, ruleId: number): number {
    const list = this.#lists[set - 1] ?? [];
    if (!list.includes(ruleId)) return set;
    return list.filter((id) => id !== ruleId).reduce((number, id) => this.add(number, id), 0);
  }

  #add(set: number, ruleId: number): number {
    this.#next[set] ??= new Map();
    const next = this.#next[set];
    const known = next.get(ruleId);
    if (known !== undefined) return known;
    const number = this.#find(set, ruleId);
    next.set(ruleId, number);
    return number;
  }

  #find(set: number, ruleId: number): number {
    const list = this.#lists[set - 1];
    if (!list) return this.#lists.push([ruleId]);
    if (list.includes(ruleId)) return set;
    if (list.length === MAX_COVERING) throw this.#tooMany([...list, ruleId]);
    if ((list.at(-1) ?? 0) < ruleId) return this.#lists.push([...list, ruleId]);
    const ascending = [...list, ruleId].sort((a, b) => a - b);
    return ascending.reduce((number, id) => this.add(number, id), 0);
  }

  #tooMany(ruleIds: readonly number[]): UsageError {
    const names = ruleIds.map(this.#nameRule).join(', ');
    return new UsageError(`${names} all cover one address: at most ${MAX_COVERING} rules may`);
  }
}
