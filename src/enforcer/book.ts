/** How many addresses the book keeps; past it the address that was written longest ago is forgotten. */
const MAX_ADDRESSES = 131_072;
/** How many names of one address are kept. */
const MAX_NAMES = 8;

/** A name that taught an address, and the rule for which it did; 0 = none, it only explains. */
export interface Taught {
  readonly name: string;
  readonly ruleId: number;
}

/**
 * Which names taught which addresses, for events and `status`. The kernel decides by its own leases;
 * this book only explains.
 */
export class NameBook {
  readonly #names = new Map<string, Map<string, number>>();

  /** Enters what an answer taught. @param addr16 16 bytes */
  enter(name: string, addr16: Uint8Array, ruleId = 0): void {
    const key = keyOf(addr16);
    const names = this.#names.get(key) ?? new Map<string, number>();
    this.#names.delete(key);
    this.#names.set(key, names);
    names.delete(name);
    names.set(name, ruleId);
    dropOldest(names, MAX_NAMES);
    if (this.#names.size > MAX_ADDRESSES) dropOldest(this.#names, MAX_ADDRESSES);
  }

  /** The names of an address, the latest first. */
  namesOf(addr16: Uint8Array): string[] {
    return [...(this.#names.get(keyOf(addr16))?.keys() ?? [])].reverse();
  }

  /** As `namesOf`, with the rules. */
  taughtBy(addr16: Uint8Array): Taught[] {
    const names = this.#names.get(keyOf(addr16)) ?? [];
    return [...names].reverse().map(([name, ruleId]) => ({ name, ruleId }));
  }

  /** Whether a name of the book leads to an address, for each pair of them. */
  *pairs(): Generator<{ readonly name: string; readonly addr16: Uint8Array }> {
    for (const [key, names] of this.#names)
      for (const name of names.keys()) yield { name, addr16: Buffer.from(key, 'latin1') };
  }

  /** Forgets an address whose leases have ended. */
  forget(addr16: Uint8Array): void {
    this.#names.delete(keyOf(addr16));
  }

  get size(): number {
    return this.#names.size;
  }
}

function keyOf(addr16: Uint8Array): string {
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
