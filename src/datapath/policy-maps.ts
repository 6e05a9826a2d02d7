import { BPF_F_NO_PREALLOC, BpfMap } from '../libbpf/map.ts';
import { MapType } from '../libbpf/map-info.ts';
import { Scope } from '../scope.ts';
import { LAYOUT } from './layout.ts';

/** Maps with one inner map per slot. */
export const POLICY_MAPS = ['names', 'patterns', 'prefixes', 'hosts', 'sets', 'rules', 'policies'] as const;
export type PolicyMapName = (typeof POLICY_MAPS)[number];

const SLOTS = 2;
const U32_BYTES = 4;

/* The inner maps as bpf/maps.h declares them. */
const INNER = {
  names: [MapType.lpmTrie, LAYOUT.name_key.size, LAYOUT.name_rules.size, BPF_F_NO_PREALLOC],
  patterns: [MapType.hash, U32_BYTES, LAYOUT.pattern.size, BPF_F_NO_PREALLOC],
  prefixes: [MapType.lpmTrie, LAYOUT.prefix_key.size, LAYOUT.addr_rules.size, BPF_F_NO_PREALLOC],
  hosts: [MapType.hash, LAYOUT.host_key.size, LAYOUT.addr_rules.size, 0],
  sets: [MapType.hash, U32_BYTES, LAYOUT.rule_set.size, BPF_F_NO_PREALLOC],
  rules: [MapType.hash, U32_BYTES, LAYOUT.rule.size, BPF_F_NO_PREALLOC],
  policies: [MapType.hash, U32_BYTES, LAYOUT.policy.size, BPF_F_NO_PREALLOC],
} as const satisfies { [name in PolicyMapName]: readonly [number, number, number, number] };

/** An inner map with room for `entries`, for a slot of the outer map `name`. Throws SystemError. */
export function createInner(name: PolicyMapName, entries: number): BpfMap {
  const [mapType, keyBytes, valueBytes, flags] = INNER[name];
  const maxEntries = Math.max(1, entries);
  return BpfMap.create({ mapType, name: `l7egg_${name}`, keyBytes, valueBytes, maxEntries, flags });
}

/** The outer map `name` with empty slots. Throws SystemError. */
export function createOuter(name: PolicyMapName): BpfMap {
  using scope = new Scope();
  return BpfMap.create({
    mapType: MapType.arrayOfMaps,
    name,
    keyBytes: U32_BYTES,
    valueBytes: U32_BYTES,
    maxEntries: SLOTS,
    innerMap: scope.use(createInner(name, 1)),
  });
}
