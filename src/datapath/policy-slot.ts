import { BPF_F_NO_PREALLOC, BpfMap, MapType } from '../libbpf/map.ts';
import type { PortRange } from '../policy/port.ts';
import { Scope } from '../scope.ts';
import type { CompiledPolicy, CompiledRule } from './compiled-policy.ts';
import { LAYOUT, LIMITS } from './layout.ts';
import { type DatapathState, ONLY, POLICY_MAPS, type PolicyMapName } from './state.ts';
import { encodeStruct, placeOf, readField, writeStruct } from './struct.ts';

const ADDR = LAYOUT.addr.size;

/**
 * Puts a compiled policy in force in one step: fresh inner maps in the idle slot, then one write of
 * `active`. What was in force stays so until that write. Rules new to the kernel get their counters.
 * Throws SystemError; then nothing has changed for the programs.
 */
export async function applyPolicy(state: DatapathState, policy: CompiledPolicy): Promise<void> {
  const control = state.map('control').get(ONLY);
  if (!control) throw new RangeError('no control entry');
  const active = readField(control, 'control', 'active');
  const idle = 1 - active;
  using scope = new Scope();
  const filling: Promise<void>[] = [];
  const stale = new Set<PolicyMapName>(POLICY_MAPS);
  const put = (name: PolicyMapName, inner: BpfMap) => {
    stale.delete(name);
    filling.push(state.map(name).setInThread(u32(idle), u32(scope.use(inner).fd)));
  };

  addRuleStates(state, policy.rules);
  // Each update of an outer map waits for an RCU grace period; in threads the waits overlap.
  put(
    'rules',
    fillRules(policy.inboundPorts ? [...policy.rules, inboundRule(policy.inboundPorts)] : policy.rules),
  );
  put('policies', fillPolicies(policy));
  put('names', fillNames(policy));
  if (policy.names.patterns.length > 0) put('patterns', fillPatterns(policy));
  if (policy.prefixes.sets.length > 0) put('sets', fillSets(policy.prefixes.sets));
  if (policy.prefixes.prefixes.bits.length > 0) put('prefixes', await fillPrefixes(policy));
  if (policy.prefixes.hosts.allowSet.length > 0) put('hosts', await fillHosts(policy));
  // Of kinds that this policy has none of, those of the policy before the last may still be there: whoever
  // applied the last one may have been killed before it freed them.
  for (const name of stale) state.map(name).delete(u32(idle));
  await Promise.all(filling);

  const epoch = nextEpoch(state);
  const slots = placeOf('control', 'slots')[0];
  writeStruct(control, slots + idle * LAYOUT.slot.size, 'slot', {
    epoch,
    dns_ports_be: new Uint8Array(LAYOUT.slot.fields.dns_ports_be[1]),
  });
  writeDnsPorts(control, idle, policy.dnsPorts);
  writeStruct(control, 0, 'control', { next_rule_id: policy.nextRuleId });
  state.map('control').set(ONLY, control);
  writeStruct(control, 0, 'control', { active: idle });
  state.map('control').set(ONLY, control);
}

/** Frees the inner maps of the slot that is not active. */
export async function freeIdleSlot(state: DatapathState): Promise<void> {
  const control = state.map('control').get(ONLY);
  if (!control) return;
  const idle = 1 - readField(control, 'control', 'active');
  for (const name of POLICY_MAPS) state.map(name).delete(u32(idle));
}

/** Drops the counters of rules that are not in force any more. */
export function dropRuleStates(state: DatapathState, inForce: ReadonlySet<number>): void {
  const states = state.map('rule_states');
  const stale = [...states.entries()].map(([key]) => key.readUInt32LE()).filter((id) => !inForce.has(id));
  for (const id of stale) states.delete(u32(id));
}

/** Changes the DNS ports of the slot in force, when the trusted resolvers change. */
export function applyDnsPorts(state: DatapathState, ports: readonly number[]): void {
  const control = state.map('control').get(ONLY);
  if (!control) return;
  writeDnsPorts(control, readField(control, 'control', 'active'), ports);
  state.map('control').set(ONLY, control);
}

function writeDnsPorts(control: Buffer, slot: number, ports: readonly number[]): void {
  const at = placeOf('control', 'slots')[0] + slot * LAYOUT.slot.size + placeOf('slot', 'dns_ports_be')[0];
  for (let i = 0; i < 4; i++) control.writeUInt16BE(ports[i] ?? 0, at + 2 * i);
}

/** The epoch that the next `applyPolicy` puts in force. */
export function nextEpoch(state: DatapathState): number {
  return (Math.max(...readEpochs(state)) % 0xfffffffe) + 1;
}

/** The epoch of the slot in force. */
export function activeEpoch(state: DatapathState): number {
  const control = state.map('control').get(ONLY);
  return (control && readEpochs(state)[readField(control, 'control', 'active')]) ?? 0;
}

function readEpochs(state: DatapathState): number[] {
  const control = state.map('control').get(ONLY);
  const slots = placeOf('control', 'slots')[0];
  return [0, 1].map((slot) =>
    control ? readField(control.subarray(slots + slot * LAYOUT.slot.size), 'slot', 'epoch') : 0,
  );
}

function addRuleStates(state: DatapathState, rules: readonly CompiledRule[]): void {
  const empty = Buffer.alloc(LAYOUT.rule_state.size);
  for (const rule of rules) state.map('rule_states').insert(u32(rule.id), empty);
}

function fillRules(rules: readonly CompiledRule[]): BpfMap {
  const map = innerMap(MapType.hash, 4, LAYOUT.rule.size, rules.length, BPF_F_NO_PREALLOC);
  for (const rule of rules) {
    const value = encodeStruct('rule', {
      ring_base: rule.ringBase,
      ring_length: rule.ringLength,
      n_ports: rule.ports.length,
      flags: rule.privateAnswers ? LIMITS.RULE_PRIVATE_ANSWERS : 0,
    });
    rule.ports.forEach((range, index) => {
      writeStruct(value, placeOf('rule', 'ports')[0] + index * LAYOUT.port_range.size, 'port_range', {
        low: range.low,
        high: range.high,
        l4_proto: range.l4Proto,
      });
    });
    map.set(u32(rule.id), value);
  }
  return map;
}

/* Not a rule of egress: it names the local ports on which calls from outside are taken. */
function inboundRule(ports: readonly PortRange[]): CompiledRule {
  return { id: LIMITS.INBOUND_RULE, ports, privateAnswers: false, ringBase: 0, ringLength: 0 };
}

function fillPolicies(policy: CompiledPolicy): BpfMap {
  const map = innerMap(MapType.hash, 4, LAYOUT.policy.size, 1, BPF_F_NO_PREALLOC);
  const flags =
    (policy.strictDns ? LIMITS.POLICY_STRICT_DNS : 0) |
    (policy.audit ? LIMITS.POLICY_AUDIT : 0) |
    (policy.denyNames ? LIMITS.POLICY_DENY_NAMES : 0) |
    (policy.inboundPorts ? LIMITS.POLICY_LIMIT_INBOUND : 0);
  map.set(u32(policy.policyId), encodeStruct('policy', { flags }));
  return map;
}

function fillNames(policy: CompiledPolicy): BpfMap {
  const { entries } = policy.names;
  const map = innerMap(
    MapType.lpmTrie,
    LAYOUT.name_key.size,
    LAYOUT.name_rules.size,
    entries.length,
    BPF_F_NO_PREALLOC,
  );
  for (const entry of entries) {
    const reversed = Buffer.from(entry.reversed, 'latin1');
    map.set(
      encodeStruct('name_key', {
        prefix_bits: 16 + 8 * reversed.length,
        policy: policy.policyId,
        reversed,
      }),
      encodeStruct('name_rules', {
        rules: entry.ruleIds,
        patterns: entry.patternIndexes.map((index) => index + 1),
        deny_rule: entry.denyRuleId,
        ancestor: entry.ancestor ? 1 : 0,
      }),
    );
  }
  return map;
}

function fillPatterns(policy: CompiledPolicy): BpfMap {
  const { patterns } = policy.names;
  const map = innerMap(MapType.hash, 4, LAYOUT.pattern.size, patterns.length, BPF_F_NO_PREALLOC);
  patterns.forEach((pattern, index) => {
    const reversed = Buffer.from(pattern.reversed, 'latin1');
    map.set(
      u32(index + 1),
      encodeStruct('pattern', {
        rule: pattern.ruleId,
        deny: pattern.deny ? 1 : 0,
        deep: pattern.deep ? 1 : 0,
        length: reversed.length,
        reversed,
      }),
    );
  });
  return map;
}

function fillSets(sets: readonly (readonly number[])[]): BpfMap {
  const map = innerMap(MapType.hash, 4, LAYOUT.rule_set.size, sets.length, BPF_F_NO_PREALLOC);
  sets.forEach((rules, index) => {
    map.set(u32(index + 1), encodeStruct('rule_set', { rules }));
  });
  return map;
}

async function fillPrefixes(policy: CompiledPolicy): Promise<BpfMap> {
  const { addrs, bits, allowSet, denySet } = policy.prefixes.prefixes;
  const n = bits.length;
  const size = LAYOUT.prefix_key.size;
  const map = innerMap(MapType.lpmTrie, size, LAYOUT.addr_rules.size, n, BPF_F_NO_PREALLOC);
  const keys = new Uint8Array(n * size);
  const words = new Uint32Array(keys.buffer);
  const policyOffset = placeOf('prefix_key', 'policy')[0];
  const view = new DataView(keys.buffer);
  const addrOffset = placeOf('prefix_key', 'addr')[0];
  const from = viewOf(addrs);
  for (let i = 0; i < n; i++) {
    const at = i * size;
    words[at / 4] = 32 + (bits[i] ?? 0);
    view.setUint16(at + policyOffset, policy.policyId, true);
    copyAddr(view, at + addrOffset, from, i * ADDR);
  }
  await map.updateBatch(keys, encodeAddrRules(allowSet, denySet), n);
  return map;
}

async function fillHosts(policy: CompiledPolicy): Promise<BpfMap> {
  const { addrs, allowSet, denySet } = policy.prefixes.hosts;
  const n = allowSet.length;
  const size = LAYOUT.host_key.size;
  const map = innerMap(MapType.hash, size, LAYOUT.addr_rules.size, n, 0);
  const keys = new Uint8Array(n * size);
  const view = new DataView(keys.buffer);
  const from = viewOf(addrs);
  for (let i = 0; i < n; i++) {
    copyAddr(view, i * size, from, i * ADDR);
    view.setUint16(i * size + ADDR, policy.policyId, true);
  }
  await map.updateBatch(keys, encodeAddrRules(allowSet, denySet), n);
  return map;
}

function encodeAddrRules(allowSet: Uint32Array, denySet: Uint32Array): Uint8Array {
  const words = new Uint32Array(allowSet.length * 2);
  for (let i = 0; i < allowSet.length; i++) {
    words[2 * i] = allowSet[i] ?? 0;
    words[2 * i + 1] = denySet[i] ?? 0;
  }
  return new Uint8Array(words.buffer);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/* By words: subarray and set make an object for each of a million addresses. */
function copyAddr(to: DataView, at: number, from: DataView, fromAt: number): void {
  for (let byte = 0; byte < ADDR; byte += 4) to.setUint32(at + byte, from.getUint32(fromAt + byte));
}

function innerMap(
  mapType: number,
  keyBytes: number,
  valueBytes: number,
  entries: number,
  flags: number,
): BpfMap {
  return BpfMap.create({
    mapType,
    name: 'l7egg_policy',
    keyBytes,
    valueBytes,
    maxEntries: Math.max(1, entries),
    flags,
  });
}

function u32(value: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
