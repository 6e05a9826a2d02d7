import { NAMES_OF_ADDRESS } from '../suggest/seen.ts';

/** How many addresses the book keeps; past it the address that was written longest ago is forgotten. */
const MAX_ADDRESSES = 131_072;

/** How many rules of one name are kept: as many as one address is held by. */
const MAX_RULES = 8;

/** A name that taught an address, and the rule for which it did; 0 = none, it only explains. */
export interface Taught {
  readonly name: string;
  readonly ruleId: number;
}

/** The rules for which a name taught, the latest last. */
type Names = Map<string, readonly number[]>;

/**
 * Which names taught which addresses, for events and `status`. The kernel decides by its own leases;
 * this book only explains.
 */
export class NameBook {
  readonly #names = new Map<string, Names>();
  #revision = 0;

  /** Enters what an answer taught. @param addr16 16 bytes */
  enter(name: string, addr16: Uint8Array, ruleId = 0): void {
    const key = addressKey(addr16);
    const names: Names = this.#names.get(key) ?? new Map();
    this.#names.delete(key);
    this.#names.set(key, names);
    const before = names.get(name);
    const rules = before ?? [];
    names.delete(name);
    if (ruleId === 0 || rules.at(-1) === ruleId) names.set(name, rules);
    else names.set(name, [...rules.filter((each) => each !== ruleId), ruleId].slice(-MAX_RULES));
    if (ruleId !== 0 && !rules.includes(ruleId)) this.#revision += 1;
    dropOldest(names, NAMES_OF_ADDRESS);
    if (this.#names.size > MAX_ADDRESSES) dropOldest(this.#names, MAX_ADDRESSES);
  }

  /** The names of an address, the latest first. */
  namesOf(addr16: Uint8Array): string[] {
    return [...(this.#names.get(addressKey(addr16))?.keys() ?? [])].reverse();
  }

  /** As `namesOf`, once for each rule. */
  taughtBy(addr16: Uint8Array): Taught[] {
    return this.taughtAt(addressKey(addr16));
  }

  /** As `taughtBy`, by what `addresses` answers. */
  taughtAt(key: string): Taught[] {
    return [...(this.#names.get(key) ?? [])]
      .reverse()
      .flatMap(([name, rules]) =>
        rules.length === 0 ? { name, ruleId: 0 } : rules.map((ruleId) => ({ name, ruleId })).reverse(),
      );
  }

  /** All addresses, 16 characters of a byte each, the latest last. */
  addresses(): string[] {
    return [...this.#names.keys()];
  }

  /** Goes up when a rule has come to lease an address by a name that it did not before. */
  get revision(): number {
    return this.#revision;
  }

  /** Whether a name of the book leads to an address, for each pair of them. */
  *pairs(): Generator<{ readonly name: string; readonly addr16: Uint8Array }> {
    for (const [key, names] of this.#names)
      for (const name of names.keys()) yield { name, addr16: Buffer.from(key, 'latin1') };
  }

  /** Forgets an address whose leases have ended. */
  forget(addr16: Uint8Array): void {
    this.#names.delete(addressKey(addr16));
  }

  get size(): number {
    return this.#names.size;
  }
}

/** 16 bytes as a text of as many characters. */
export function addressKey(addr16: Uint8Array): string {
  return Buffer.from(addr16.buffer, addr16.byteOffset, addr16.byteLength).toString('latin1');
}

function dropOldest(
  kept: { size: number; keys(): Iterable<string>; delete(key: string): boolean },
  max: number,
): void {
  for (const key of kept.keys()) {
    if (kept.size <= max) return;
    kept.delete(key);
  }
}
