import type { Rule } from './rule.ts';
import { holdsAddress, isByAddress } from './who.ts';

/** Finds, of many rules, those that speak of an address as it is: one look-up for each length that a prefix has. */
export class AddressRules {
  readonly #everywhere: Rule[] = [];
  readonly #byBits = new Map<number, Map<string, Rule[]>>();

  constructor(rules: readonly Rule[]) {
    for (const rule of rules) {
      if (!isByAddress(rule.who)) continue;
      if (rule.who.kind === 'any') {
        this.#everywhere.push(rule);
        continue;
      }
      const { bytes, bits } = rule.who.prefix;
      const prefixes = this.#byBits.get(bits) ?? new Map<string, Rule[]>();
      const key = keyOf(bytes, bits);
      prefixes.set(key, [...(prefixes.get(key) ?? []), rule]);
      this.#byBits.set(bits, prefixes);
    }
  }

  /** In no order. @param addr16 16 bytes, IPv4 as ::ffff:a.b.c.d */
  holding(addr16: Uint8Array): Rule[] {
    const found = [...this.#byBits].flatMap(([bits, prefixes]) => prefixes.get(keyOf(addr16, bits)) ?? []);
    return [...this.#everywhere, ...found].filter(({ who }) => holdsAddress(who, addr16));
  }
}

/* The first `bits`, the rest zero. */
function keyOf(addr16: Uint8Array, bits: number): string {
  const whole = bits >> 3;
  const text = String.fromCharCode(...addr16.subarray(0, whole));
  return bits & 7 ? text + String.fromCharCode((addr16[whole] ?? 0) & (0xff << (8 - (bits & 7)))) : text;
}
