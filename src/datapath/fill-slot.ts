import type { BpfMap } from '../libbpf/map.ts';
import type { PortRange } from '../policy/port.ts';
import { Scope } from '../scope.ts';
import type { CompiledPolicy, CompiledRule } from './compiled-policy.ts';
import { LAYOUT, LIMITS } from './layout.ts';
import { createInner, POLICY_MAPS, type PolicyMapName } from './policy-maps.ts';
import type { MapSource } from './state.ts';
import { encodeStruct, placeOf, writeStruct } from './struct.ts';

const ADDR = LAYOUT.addr.size;

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
    filling.push(maps.map(name).setInThread(u32(slot), u32(scope.use(inner).fd)));
  };

  // Each update of an outer map waits for an RCU grace period; in threads the waits overlap.
  try {
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
    for (const name of stale) maps.map(name).delete(u32(slot));
  } finally {
    await Promise.allSettled(filling); // the threads have our descriptors
  }
  await Promise.all(filling);
}

function fillRules(rules: readonly CompiledRule[]): BpfMap {
  const map = createInner('rules', rules.length);
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
  const map = createInner('policies', 1);
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
  const map = createInner('names', entries.length);
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
  const map = createInner('patterns', patterns.length);
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
  const map = createInner('sets', sets.length);
  sets.forEach((rules, index) => {
    map.set(u32(index + 1), encodeStruct('rule_set', { rules }));
  });
  return map;
}

async function fillPrefixes(policy: CompiledPolicy): Promise<BpfMap> {
  const { addrs, bits, allowSet, denySet } = policy.prefixes.prefixes;
  const n = bits.length;
  const size = LAYOUT.prefix_key.size;
  const map = createInner('prefixes', n);
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
  const map = createInner('hosts', n);
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

function u32(value: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
