import type { NumberedRule } from './compile-names.ts';
import { MAPPED_BITS, type Prefix, parsePrefix } from './prefix.ts';
import { RuleSets } from './rule-sets.ts';
import { ADDRESS_BYTES, IPV4_ROOT, sortPrefixes } from './sort-prefixes.ts';

/**
 * Prefixes as parallel arrays, one position each: 16 bytes of address in the form of `Prefix.bytes`,
 * `bits` of 128, the id of the rule (never 0; a rule may have many), and bits of `RowEffect`.
 */
export interface PrefixRows {
  readonly addrs: Uint8Array;
  readonly bits: Uint8Array;
  readonly ruleIds: Uint32Array;
  readonly effects: Uint8Array;
}

/** What a row does: 0 = the rule allows (or audits) the prefix. */
export const RowEffect = {
  /** The rule denies. */
  deny: 1,
  /** An exception: the rule, which speaks of a prefix around this one, does not speak of this one. */
  except: 2,
} as const;

/** Addresses with the sets of the rules that cover each; a set is its index in `sets` + 1, 0 = none. */
export interface HostEntries {
  readonly addrs: Uint8Array;
  readonly allowSet: Uint32Array;
  readonly denySet: Uint32Array;
}

/** Prefixes in the same form. */
export interface PrefixEntries extends HostEntries {
  readonly bits: Uint8Array;
}

/**
 * The prefix rules in the form of `struct addr_rules` of bpf/contract.h. `sets` are sorted rule ids,
 * each set once. Every entry has what the prefixes around it have; single addresses are `hosts`.
 */
export interface PrefixTable {
  readonly sets: readonly (readonly number[])[];
  readonly hosts: HostEntries;
  readonly prefixes: PrefixEntries;
}

const HOST_BITS = 128;

interface Row {
  readonly id: number;
  readonly prefix: Prefix;
  readonly effect: number;
}

const EVERYTHING: readonly Prefix[] = ['0.0.0.0/0', '::/0'].map((text) => parsePrefix(text).prefix);

/**
 * Compiles the rules that speak of addresses among `rules`; others are passed over. Throws UsageError as
 * `compilePrefixTable`.
 */
export function compilePrefixes(rules: readonly NumberedRule[]): PrefixTable {
  const sources = new Map(rules.map(({ id, rule }) => [id, rule.source]));
  const found = rules.flatMap(rowsOf);
  const addrs = new Uint8Array(found.length * ADDRESS_BYTES);
  found.forEach(({ prefix }, row) => {
    addrs.set(prefix.bytes, row * ADDRESS_BYTES);
  });
  const rows: PrefixRows = {
    addrs,
    bits: Uint8Array.from(found, ({ prefix }) => prefix.bits),
    ruleIds: Uint32Array.from(found, ({ id }) => id),
    effects: Uint8Array.from(found, ({ effect }) => effect),
  };
  return compilePrefixTable(rows, (id) => `"${sources.get(id) ?? id}"`);
}

function rowsOf({ id, rule: { who, action } }: NumberedRule): Row[] {
  const effect = action === 'deny' ? RowEffect.deny : 0;
  if (who.kind === 'any') return EVERYTHING.map((prefix) => ({ id, prefix, effect }));
  if (who.kind !== 'prefix') return [];
  const except = who.except.map((prefix) => ({ id, prefix, effect: effect | RowEffect.except }));
  return [{ id, prefix: who.prefix, effect }, ...except];
}

/**
 * Compiles rows in any order, a million in about a second. `nameRule` names a rule in the UsageError
 * that is thrown where more than MAX_COVERING rules of one effect cover an address.
 */
export function compilePrefixTable(
  given: PrefixRows,
  nameRule: (ruleId: number) => string = (id) => `rule ${id}`,
): PrefixTable {
  const rows = fenceOffIpv4(given);
  const words = wordsOf(rows.addrs);
  const sets = new RuleSets(nameRule);
  let hostRows = 0;
  for (const bits of rows.bits) if (bits === HOST_BITS) hostRows += 1;
  const hosts = makeEntries(hostRows);
  const prefixes = makeEntries(rows.bits.length - hostRows);
  const outer: number[] = []; // positions in `prefixes` of those around the current one
  let last = -1; // the row that made the newest entry
  for (const row of sortPrefixes(rows.addrs, rows.bits)) {
    const entries = rows.bits[row] === HOST_BITS ? hosts : prefixes;
    if (last < 0 || !isSamePrefix(rows.bits, words, last, row)) {
      let around = outer.at(-1);
      while (around !== undefined && !holds(prefixes, around, rows.addrs, row)) {
        outer.pop();
        around = outer.at(-1);
      }
      if (entries === prefixes) outer.push(prefixes.count);
      const inherits = around !== undefined && !isFence(rows, row);
      const entry = entries.count++;
      for (let word = 0; word < 4; word += 1) entries.words[4 * entry + word] = words[4 * row + word] ?? 0;
      entries.bits[entry] = rows.bits[row] ?? 0;
      entries.allowSet[entry] = inherits ? (prefixes.allowSet[around ?? 0] ?? 0) : 0;
      entries.denySet[entry] = inherits ? (prefixes.denySet[around ?? 0] ?? 0) : 0;
      last = row;
    }
    const ruleId = rows.ruleIds[row] ?? 0;
    const effect = rows.effects[row] ?? 0;
    const held = effect & RowEffect.deny ? entries.denySet : entries.allowSet;
    const before = held[entries.count - 1] ?? 0;
    if (ruleId === 0) continue; // the fence
    held[entries.count - 1] =
      effect & RowEffect.except ? sets.remove(before, ruleId) : sets.add(before, ruleId);
  }
  const { addrs, allowSet, denySet } = cut(hosts);
  return { sets: sets.lists, hosts: { addrs, allowSet, denySet }, prefixes: cut(prefixes) };
}

/**
 * In the trie an IPv4 address lies in ::/0, though no rule for IPv6 speaks of it. Where a prefix reaches
 * that far, ::ffff:0:0/96 becomes an entry that inherits nothing; its row has rule 0.
 */
function fenceOffIpv4(rows: PrefixRows): PrefixRows {
  const isNeeded = rows.bits.some(
    (bits, row) => bits < MAPPED_BITS && sharesBits(rows.addrs, row, IPV4_ROOT, 0, bits),
  );
  if (!isNeeded) return rows;
  const count = rows.bits.length;
  const fenced: PrefixRows = {
    addrs: new Uint8Array((count + 1) * ADDRESS_BYTES),
    bits: new Uint8Array(count + 1),
    ruleIds: new Uint32Array(count + 1),
    effects: new Uint8Array(count + 1),
  };
  fenced.addrs.set(rows.addrs);
  fenced.addrs.set(IPV4_ROOT, count * ADDRESS_BYTES);
  fenced.bits.set(rows.bits);
  fenced.bits[count] = MAPPED_BITS;
  fenced.ruleIds.set(rows.ruleIds);
  fenced.effects.set(rows.effects);
  return fenced;
}

function isFence(rows: PrefixRows, row: number): boolean {
  return rows.bits[row] === MAPPED_BITS && sharesBits(rows.addrs, row, IPV4_ROOT, 0, MAPPED_BITS);
}

function holds(prefixes: PrefixEntries, entry: number, addrs: Uint8Array, row: number): boolean {
  return sharesBits(prefixes.addrs, entry, addrs, row, prefixes.bits[entry] ?? 0);
}

function isSamePrefix(bits: Uint8Array, words: Uint32Array, a: number, b: number): boolean {
  return (
    bits[a] === bits[b] &&
    words[4 * a + 3] === words[4 * b + 3] &&
    words[4 * a + 2] === words[4 * b + 2] &&
    words[4 * a + 1] === words[4 * b + 1] &&
    words[4 * a] === words[4 * b]
  );
}

/** Whether the first `bits` of two addresses, given by their positions, are the same. */
function sharesBits(a: Uint8Array, atA: number, b: Uint8Array, atB: number, bits: number): boolean {
  const whole = bits >> 3;
  const startA = atA * ADDRESS_BYTES;
  const startB = atB * ADDRESS_BYTES;
  for (let index = 0; index < whole; index += 1) if (a[startA + index] !== b[startB + index]) return false;
  const rest = bits & 7;
  return rest === 0 || (((a[startA + whole] ?? 0) ^ (b[startB + whole] ?? 0)) & (0xff << (8 - rest))) === 0;
}

/** Entries that are filled one by one: `count` are there, `words` are those of `addrs`. */
interface Filling extends PrefixEntries {
  readonly words: Uint32Array;
  count: number;
}

function makeEntries(most: number): Filling {
  const addrs = new Uint8Array(most * ADDRESS_BYTES);
  return {
    addrs,
    words: wordsOf(addrs),
    bits: new Uint8Array(most),
    allowSet: new Uint32Array(most),
    denySet: new Uint32Array(most),
    count: 0,
  };
}

/** The addresses in four words each, to copy and compare; of another place in memory they are a copy. */
function wordsOf(addrs: Uint8Array): Uint32Array {
  const { buffer, byteOffset, length } = addrs.byteOffset % 4 === 0 ? addrs : addrs.slice();
  return new Uint32Array(buffer, byteOffset, length / 4);
}

/** Without the room that rows with the same prefix did not need. */
function cut({ addrs, bits, allowSet, denySet, count }: Filling): PrefixEntries {
  return {
    addrs: addrs.subarray(0, count * ADDRESS_BYTES),
    bits: bits.subarray(0, count),
    allowSet: allowSet.subarray(0, count),
    denySet: denySet.subarray(0, count),
  };
}
