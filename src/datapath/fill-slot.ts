import type { BpfMap } from '../libbpf/map.ts';
import type { PortRange } from '../policy/port.ts';
import { Scope } from '../scope.ts';
import type { CompiledPolicy, CompiledRule } from './compiled-policy.ts';
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
 * Puts a compiled policy into a slot that is not in force: fresh inner maps, which no program reads yet.
 * Needs the policy maps only, so it can go on while programs are loaded. Throws SystemError.
 */
export async function fillSlot(maps: MapSource, slot: number, policy: CompiledPolicy): Promise<void> {
  using scope = new Scope();
  const filling: Promise<void>[] = [];
  const stale = new Set<PolicyMapName>(POLICY_MAPS);
  const put = (name: PolicyMapName, inner: BpfMap) => {
    stale.delete(name);
    const filled = maps.map(name).setInThread(u32(slot), u32(scope.use(inner).fd));
    filled.catch(() => {}); // looked at when all have ended
    filling.push(filled);
  };

  // Each update of an outer map waits for an RCU grace period; in threads the waits overlap.
  try {
    const rules = policy.inboundPorts ? [...policy.rules, inboundRule(policy.inboundPorts)] : policy.rules;
    put('rules', await fillRules(rules));
    await moveRecords(maps, policy);
    put('policies', await fillPolicies(policy));
    put('names', await fillNames(policy));
    if (policy.names.patterns.length > 0) put('patterns', await fillPatterns(policy));
    if (policy.prefixes.sets.length > 0) put('sets', await fillSets(policy.prefixes.sets));
    if (policy.prefixes.prefixes.bits.length > 0) put('prefixes', await fillPrefixes(policy));
    if (policy.prefixes.hosts.allowSet.length > 0) put('hosts', await fillHosts(policy));
    // Of kinds that this policy has none of, those of the policy before the last may still be there: whoever
    // applied the last one may have been killed before it freed them.
    for (const name of stale) maps.map(name).delete(u32(slot));
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
  rules.forEach(({ ports }, index) => {
    let at = values.at(index, 'ports');
    for (const { low, high, l4Proto } of ports) {
      writeStruct(values.bytes, at, 'port_range', { low, high, l4_proto: l4Proto });
      at += LAYOUT.port_range.size;
    }
  });
  return fillInner(
    'rules',
    Uint32Array.from(rules, ({ id }) => id),
    values,
  );
}

function flagsOf(rule: CompiledRule | undefined): number {
  return (rule?.privateAnswers ? LIMITS.RULE_PRIVATE_ANSWERS : 0) | (rule?.audit ? LIMITS.RULE_AUDIT : 0);
}

/* Not a rule of egress: it names the local ports on which calls from outside are taken. */
function inboundRule(ports: readonly PortRange[]): CompiledRule {
  return { id: LIMITS.INBOUND_RULE, ports, privateAnswers: false, audit: false, ringBase: 0, ringLength: 0 };
}

function fillPolicies(policy: CompiledPolicy): Promise<BpfMap> {
  const values = new StructArray('policy', 1);
  const flags =
    (policy.strictDns ? LIMITS.POLICY_STRICT_DNS : 0) |
    (policy.audit ? LIMITS.POLICY_AUDIT : 0) |
    (policy.denyNames ? LIMITS.POLICY_DENY_NAMES : 0) |
    (policy.inboundPorts ? LIMITS.POLICY_LIMIT_INBOUND : 0);
  values.fill('flags', () => flags);
  return fillInner('policies', Uint32Array.of(policy.policyId), values);
}

function fillNames({ policyId, names: { entries } }: CompiledPolicy): Promise<BpfMap> {
  const textOf = (index: number) => entries[index]?.reversed ?? '';
  const keys = new StructArray('name_key', entries.length);
  keys.fill('prefix_bits', (index) => POLICY_BITS + 8 * textOf(index).length);
  keys.fill('policy', () => policyId);
  keys.fillText('reversed', textOf);
  const values = new StructArray('name_rules', entries.length);
  values.fillList('rules', (index) => entries[index]?.ruleIds ?? []);
  values.fillList('patterns', (index) => entries[index]?.patternIndexes.map((pattern) => pattern + 1) ?? []);
  values.fill('deny_rule', (index) => entries[index]?.denyRuleId ?? 0);
  values.fill(
    'flags',
    (index) =>
      (entries[index]?.ancestor ? LIMITS.NAME_ANCESTOR : 0) |
      (entries[index]?.exact ? LIMITS.NAME_EXACT : 0) |
      (entries[index]?.lookup ? LIMITS.NAME_LOOKUP : 0),
  );
  return fillInner('names', keys.bytes, values);
}

const PATTERN_EFFECTS = {
  allow: LIMITS.PATTERN_ALLOW,
  deny: LIMITS.PATTERN_DENY,
  lookup: LIMITS.PATTERN_LOOKUP,
} as const;

function fillPatterns({ names: { patterns } }: CompiledPolicy): Promise<BpfMap> {
  const values = new StructArray('pattern', patterns.length);
  values.fill('rule', (index) => patterns[index]?.ruleId ?? 0);
  values.fill('effect', (index) => PATTERN_EFFECTS[patterns[index]?.effect ?? 'allow']);
  values.fill('deep', (index) => (patterns[index]?.deep ? 1 : 0));
  values.fill('length', (index) => patterns[index]?.reversed.length ?? 0);
  values.fillText('reversed', (index) => patterns[index]?.reversed ?? '');
  return fillInner('patterns', numbersTo(patterns.length), values);
}

function fillSets(sets: readonly (readonly number[])[]): Promise<BpfMap> {
  const values = new StructArray('rule_set', sets.length);
  values.fillList('rules', (index) => sets[index] ?? []);
  return fillInner('sets', numbersTo(sets.length), values);
}

function fillPrefixes({ policyId, prefixes: { prefixes } }: CompiledPolicy): Promise<BpfMap> {
  const { addrs, bits, allowSet, denySet } = prefixes;
  const keys = new StructArray('prefix_key', bits.length);
  const words = wordsOf(keys.bytes);
  const step = LAYOUT.prefix_key.size / WORD_BYTES;
  for (let index = 0; index < bits.length; index++) {
    words[index * step] = POLICY_AND_PAD_BITS + (bits[index] ?? 0); // prefix_bits comes first
  }
  keys.fill('policy', () => policyId);
  copyAddresses(keys, addrs);
  return fillInner('prefixes', keys.bytes, encodeAddrRules(allowSet, denySet));
}

function fillHosts({ policyId, prefixes: { hosts } }: CompiledPolicy): Promise<BpfMap> {
  const { addrs, allowSet, denySet } = hosts;
  const keys = new StructArray('host_key', allowSet.length);
  keys.fill('policy', () => policyId);
  copyAddresses(keys, addrs);
  return fillInner('hosts', keys.bytes, encodeAddrRules(allowSet, denySet));
}

/* By words, here and below: there may be a million, and a call or an object for each is what takes the time. */
function copyAddresses(keys: StructArray<'prefix_key'> | StructArray<'host_key'>, addrs: Uint8Array): void {
  if (keys.count === 0) return;
  const to = wordsOf(keys.bytes);
  const from = wordsOf(addrs);
  const step = keys.bytes.length / keys.count / WORD_BYTES;
  const first = keys.at(0, 'addr') / WORD_BYTES;
  for (let index = 0; index < keys.count; index++) {
    const toAt = first + index * step;
    const fromAt = (index * ADDR) / WORD_BYTES;
    for (let word = 0; word < ADDR / WORD_BYTES; word++) to[toAt + word] = from[fromAt + word] ?? 0;
  }
}

function encodeAddrRules(allowSet: Uint32Array, denySet: Uint32Array): StructArray<'addr_rules'> {
  const values = new StructArray('addr_rules', allowSet.length);
  const words = wordsOf(values.bytes);
  for (let index = 0; index < allowSet.length; index++) {
    words[2 * index] = allowSet[index] ?? 0;
    words[2 * index + 1] = denySet[index] ?? 0;
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
