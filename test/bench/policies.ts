import type { CompiledPolicy } from '../../src/datapath/compiled-policy.ts';
import { compilePrefixTable, type PrefixRows } from '../../src/policy/compile-prefixes.ts';
import { MAPPED_BITS, parsePrefix } from '../../src/policy/prefix.ts';
import { compile, type PolicySpec } from '../bpf/policy-builder.ts';
import { makeRng } from '../dns/rng.ts';

/** The rule that stands for all prefixes of a table. */
export const TABLE_RULE = 1;

const ADDRESS_BYTES = 16;
const SEED = 0x17e99;

/** How many prefixes of which length, and prefixes that are among them whatever chance says. */
export interface TableSpec {
  readonly count: number;
  /** Bits of the IPv4 prefixes: 32 makes single addresses. */
  readonly bits: number;
  readonly given: readonly string[];
}

/**
 * IPv4 prefixes of rule TABLE_RULE, no two alike: those given, then random ones of 16.0.0.0 to
 * 160.0.0.0, where no address of a lab is.
 */
export function randomRows({ count, bits, given }: TableSpec): PrefixRows {
  const addrs = new Uint8Array(count * ADDRESS_BYTES);
  const rows: PrefixRows = {
    addrs,
    bits: new Uint8Array(count).fill(MAPPED_BITS + bits),
    ruleIds: new Uint32Array(count).fill(TABLE_RULE),
    effects: new Uint8Array(count),
  };
  const view = new DataView(addrs.buffer);
  let row = 0;
  for (const text of given) {
    const { prefix } = parsePrefix(text);
    addrs.set(prefix.bytes, row * ADDRESS_BYTES);
    rows.bits[row] = prefix.bits;
    row += 1;
  }
  const rng = makeRng(SEED);
  const size = 2 ** (32 - bits);
  const taken = new Set<number>();
  while (row < count) {
    const network = 0x10000000 + rng.below(0x90000000 / size) * size;
    if (taken.has(network)) continue;
    taken.add(network);
    view.setUint16(row * ADDRESS_BYTES + 10, 0xffff);
    view.setUint32(row * ADDRESS_BYTES + 12, network);
    row += 1;
  }
  return rows;
}

/** A policy with these prefixes, and the rules of `spec`, which leave TABLE_RULE free. */
export function tablePolicy(rows: PrefixRows, spec: PolicySpec = {}): CompiledPolicy {
  // The rule that stands for them, whatever its own subject.
  const policy = compile({ ...spec, rules: { ...spec.rules, [TABLE_RULE]: { cidr: '192.0.2.0/32' } } });
  const prefixes = compilePrefixTable(rows);
  return { ...policy, subjects: policy.subjects.map((subject) => ({ ...subject, prefixes })) };
}

/** The IPv4 addresses of rows, in dotted form. */
export function* dottedAddresses({ addrs }: PrefixRows): Generator<string> {
  for (let at = MAPPED_BITS / 8; at < addrs.length; at += ADDRESS_BYTES)
    yield addrs.subarray(at, at + 4).join('.');
}
