import type { BpfMap } from '../libbpf/map.ts';
import type { NameEntry } from '../policy/compile-names.ts';
import type { HostEntries } from '../policy/compile-prefixes.ts';
import type { PortRange } from '../policy/port.ts';
import { Scope } from '../scope.ts';
import type { CompiledPolicy, CompiledRule, CompiledSubject } from './compiled-policy.ts';
import { waitForPrograms } from './grace-period.ts';
import { LAYOUT, LIMITS } from './layout.ts';
import { moveRecords } from './lease-shares.ts';
import { createInner, POLICY_MAPS, type PolicyMapName } from './policy-maps.ts';
import type { MapSource } from './state.ts';
import { writeStruct } from './struct.ts';
import { StructArray } from './struct-array.ts';

const ADDR = LAYOUT.addr.size;
/** What prefix lengths count in front of the text of a name, and of an address. */
const POLICY_BITS = 16;
const POLICY_AND_PAD_BITS = 32;
const WORD_BYTES = 4;

/**
 * Puts a compiled policy into a slot that is not in force: fresh inner maps, which no program reads yet. Where those
 * of the policy before the last are still there, a program may have begun when they were in force: it ends first.
 * Needs the policy maps only, so it can go on while programs are loaded. Throws SystemError.
 */
export async function fillSlot(maps: MapSource, slot: number, policy: CompiledPolicy): Promise<void> {
  using scope = new Scope();
  const filling: Promise<unknown>[] = [];
  if (maps.map('rules').get(u32(slot)) !== undefined) await waitForPrograms();
  const stale = new Set<PolicyMapName>(POLICY_MAPS);
  const put = (name: PolicyMapName, inner: BpfMap) => {
    stale.delete(name);
    const filled = maps.map(name).setInThread(u32(slot), u32(scope.use(inner).fd));
    filled.catch(() => {}); // looked at when all have ended
    filling.push(filled);
  };

  // Each update of an outer map waits for an RCU grace period; in threads the waits overlap.
  try {
    const { subjects } = policy;
    put('rules', await fillRules([...policy.rules, ...subjects.flatMap(inboundRule)]));
    await moveRecords(maps, policy);
    put('policies', await fillPolicies(subjects));
    put('names', await fillNames(subjects));
    if (subjects.some(({ names }) => names.patterns.length > 0))
      put('patterns', await fillPatterns(subjects));
    if (subjects.some(({ prefixes }) => prefixes.sets.length > 0)) put('sets', await fillSets(subjects));
    if (subjects.some(({ prefixes }) => prefixes.prefixes.bits.length > 0)) {
      put('prefixes', await fillPrefixes(subjects));
    }
    if (subjects.some(({ prefixes }) => prefixes.hosts.allowSet.length > 0)) {
      put('hosts', await fillHosts(subjects));
    }
    // Of kinds that this policy has none of, those of the policy before the last may still be there: whoever
    // applied the last one may have been killed before it freed them.
    for (const name of stale) filling.push(maps.map(name).deleteInThread(u32(slot)));
  } finally {
    await Promise.allSettled(filling); // the threads have our descriptors
  }
  await Promise.all(filling);
}

async function fillRules(rules: readonly CompiledRule[]): Promise<BpfMap> {
  const values = new StructArray('rule', rules.length);
  values.fill('ring_base', (index) => rules[index]?.ringBase ?? 0);
  values.fill('ring_length', (index) => rules[index]?.ringLength ?? 0);
  values.fill('n_ports', (index) => rules[index]?.ports.length ?? 0);
  values.fill('flags', (index) => flagsOf(rules[index]));
  const portLists = new Map<readonly PortRange[], Buffer>(); // rules that are written together have one
  rules.forEach(({ ports }, index) => {
    const bytes = portLists.get(ports) ?? encodePorts(ports);
    portLists.set(ports, bytes);
    values.bytes.set(bytes, values.at(index, 'ports'));
  });
  return fillInner(
    'rules',
    Uint32Array.from(rules, ({ id }) => id),
    values,
  );
}

function encodePorts(ports: readonly PortRange[]): Buffer {
  const bytes = Buffer.alloc(ports.length * LAYOUT.port_range.size);
  ports.forEach(({ low, high, l4Proto }, index) => {
    writeStruct(bytes, index * LAYOUT.port_range.size, 'port_range', { low, high, l4_proto: l4Proto });
  });
  return bytes;
}

function flagsOf(rule: CompiledRule | undefined): number {
  return (rule?.privateAnswers ? LIMITS.RULE_PRIVATE_ANSWERS : 0) | (rule?.audit ? LIMITS.RULE_AUDIT : 0);
}

/* Not a rule of egress: it names the local ports on which calls from outside are taken. */
function inboundRule({ policyId, inbound }: CompiledSubject): CompiledRule[] {
  if (inbound === 'all' || inbound.length === 0) return [];
  const id = LIMITS.INBOUND_RULES + policyId;
  return [{ id, ports: inbound, privateAnswers: false, audit: false, ringBase: 0, ringLength: 0 }];
}

function fillPolicies(subjects: readonly CompiledSubject[]): Promise<BpfMap> {
  const values = new StructArray('policy', subjects.length);
  values.fill('flags', (index) => policyFlags(subjects[index]));
  return fillInner(
    'policies',
    Uint32Array.from(subjects, ({ policyId }) => policyId),
    values,
  );
}

function policyFlags(subject: CompiledSubject | undefined): number {
  if (!subject) return 0;
  const { strictDns, audit, denyNames, inbound } = subject;
  const limit = inbound.length > 0 ? LIMITS.POLICY_LIMIT_INBOUND : LIMITS.POLICY_NO_INBOUND;
  return (
    (strictDns ? LIMITS.POLICY_STRICT_DNS : 0) |
    (audit ? LIMITS.POLICY_AUDIT : 0) |
    (denyNames ? LIMITS.POLICY_DENY_NAMES : 0) |
    (inbound === 'all' ? 0 : limit)
  );
}

/* Rows of all subjects end to end; a subject's patterns and sets are counted on from those of the ones before. */
function concat<Row>(
  subjects: readonly CompiledSubject[],
  rowsOf: (subject: CompiledSubject, before: number) => readonly Row[],
  count: (subject: CompiledSubject) => number,
): Row[] {
  const rows: Row[] = [];
  let before = 0;
  for (const subject of subjects) {
    for (const row of rowsOf(subject, before)) rows.push(row);
    before += count(subject);
  }
  return rows;
}

function fillNames(subjects: readonly CompiledSubject[]): Promise<BpfMap> {
  const rows = concat(
    subjects,
    ({ policyId, names }, before) => names.entries.map((entry) => ({ policyId, entry, before })),
    ({ names }) => names.patterns.length,
  );
  const textOf = (index: number) => rows[index]?.entry.reversed ?? '';
  const keys = new StructArray('name_key', rows.length);
  keys.fill('prefix_bits', (index) => POLICY_BITS + 8 * textOf(index).length);
  keys.fill('policy', (index) => rows[index]?.policyId ?? 0);
  keys.fillText('reversed', textOf);
  const values = new StructArray('name_rules', rows.length);
  values.fillList('rules', (index) => rows[index]?.entry.ruleIds ?? []);
  values.fillList('patterns', (index) => {
    const row = rows[index];
    return row?.entry.patternIndexes.map((pattern) => row.before + pattern + 1) ?? [];
  });
  values.fill('deny_rule', (index) => rows[index]?.entry.denyRuleId ?? 0);
  values.fill('flags', (index) => nameFlags(rows[index]?.entry));
  return fillInner('names', keys.bytes, values);
}

function nameFlags(entry: NameEntry | undefined): number {
  return (
    (entry?.ancestor ? LIMITS.NAME_ANCESTOR : 0) |
    (entry?.exact ? LIMITS.NAME_EXACT : 0) |
    (entry?.lookup ? LIMITS.NAME_LOOKUP : 0)
  );
}

const PATTERN_EFFECTS = {
  allow: LIMITS.PATTERN_ALLOW,
  deny: LIMITS.PATTERN_DENY,
  lookup: LIMITS.PATTERN_LOOKUP,
} as const;

function fillPatterns(subjects: readonly CompiledSubject[]): Promise<BpfMap> {
  const patterns = subjects.flatMap(({ names }) => names.patterns);
  const values = new StructArray('pattern', patterns.length);
  values.fill('rule', (index) => patterns[index]?.ruleId ?? 0);
  values.fill('effect', (index) => PATTERN_EFFECTS[patterns[index]?.effect ?? 'allow']);
  values.fill('deep', (index) => (patterns[index]?.deep ? 1 : 0));
  values.fill('length', (index) => patterns[index]?.reversed.length ?? 0);
  values.fillText('reversed', (index) => patterns[index]?.reversed ?? '');
  return fillInner('patterns', numbersTo(patterns.length), values);
}

function fillSets(subjects: readonly CompiledSubject[]): Promise<BpfMap> {
  const sets = subjects.flatMap(({ prefixes }) => prefixes.sets);
  const values = new StructArray('rule_set', sets.length);
  values.fillList('rules', (index) => sets[index] ?? []);
  return fillInner('sets', numbersTo(sets.length), values);
}

function fillPrefixes(subjects: readonly CompiledSubject[]): Promise<BpfMap> {
  const tables = subjects.map(({ policyId, prefixes }) => ({ policyId, entries: prefixes.prefixes }));
  const count = tables.reduce((sum, { entries }) => sum + entries.bits.length, 0);
  const keys = new StructArray('prefix_key', count);
  const words = wordsOf(keys.bytes);
  const step = LAYOUT.prefix_key.size / WORD_BYTES;
  let at = 0; // prefix_bits comes first
  for (const { entries } of tables) {
    for (const bits of entries.bits) {
      words[at] = POLICY_AND_PAD_BITS + bits;
      at += step;
    }
  }
  fillPolicyIds(keys, tables, ({ entries }) => entries.bits.length);
  copyAddresses(
    keys,
    tables.map(({ entries }) => entries.addrs),
  );
  return fillInner(
    'prefixes',
    keys.bytes,
    encodeAddrRules(subjects, ({ prefixes }) => prefixes.prefixes, count),
  );
}

function fillHosts(subjects: readonly CompiledSubject[]): Promise<BpfMap> {
  const tables = subjects.map(({ policyId, prefixes }) => ({ policyId, entries: prefixes.hosts }));
  const count = tables.reduce((sum, { entries }) => sum + entries.allowSet.length, 0);
  const keys = new StructArray('host_key', count);
  fillPolicyIds(keys, tables, ({ entries }) => entries.allowSet.length);
  copyAddresses(
    keys,
    tables.map(({ entries }) => entries.addrs),
  );
  return fillInner(
    'hosts',
    keys.bytes,
    encodeAddrRules(subjects, ({ prefixes }) => prefixes.hosts, count),
  );
}

function fillPolicyIds<Table extends { readonly policyId: number }>(
  keys: AddressKeys,
  tables: readonly Table[],
  count: (table: Table) => number,
): void {
  const ids = new Uint16Array(keys.count);
  let at = 0;
  for (const table of tables) {
    ids.fill(table.policyId, at, at + count(table));
    at += count(table);
  }
  keys.fill('policy', (index) => ids[index] ?? 0);
}

/* By words, here and below: there may be a million, and a call or an object for each is what takes the time. */
type AddressKeys = StructArray<'prefix_key'> | StructArray<'host_key'>;

function copyAddresses(keys: AddressKeys, tables: readonly Uint8Array[]): void {
  if (keys.count === 0) return;
  const to = wordsOf(keys.bytes);
  const step = keys.bytes.length / keys.count / WORD_BYTES;
  let toAt = keys.at(0, 'addr') / WORD_BYTES;
  for (const addrs of tables) {
    const from = wordsOf(addrs);
    for (let fromAt = 0; fromAt < from.length; fromAt += ADDR / WORD_BYTES, toAt += step) {
      for (let word = 0; word < ADDR / WORD_BYTES; word++) to[toAt + word] = from[fromAt + word] ?? 0;
    }
  }
}

function encodeAddrRules(
  subjects: readonly CompiledSubject[],
  entriesOf: (subject: CompiledSubject) => HostEntries,
  count: number,
): StructArray<'addr_rules'> {
  const values = new StructArray('addr_rules', count);
  const words = wordsOf(values.bytes);
  let at = 0;
  let before = 0;
  for (const subject of subjects) {
    const { allowSet, denySet } = entriesOf(subject);
    for (let index = 0; index < allowSet.length; index++) {
      words[at++] = allowSet[index] ? before + (allowSet[index] ?? 0) : 0;
      words[at++] = denySet[index] ? before + (denySet[index] ?? 0) : 0;
    }
    before += subject.prefixes.sets.length;
  }
  return values;
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / WORD_BYTES);
}

/* A fresh inner map with these entries. */
async function fillInner(
  name: PolicyMapName,
  keys: Uint8Array | Uint32Array,
  { bytes, count }: { readonly bytes: Buffer; readonly count: number },
): Promise<BpfMap> {
  const map = createInner(name, count);
  await map.updateBatch(new Uint8Array(keys.buffer, keys.byteOffset, keys.byteLength), bytes, count);
  return map;
}

/* Keys of a table whose rows count from 1: 0 is none. */
function numbersTo(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, index) => index + 1);
}

function u32(value: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
