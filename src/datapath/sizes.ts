import { BpfMap } from '../libbpf/map.ts';
import { MapType } from '../libbpf/map-info.ts';
import { BpfProgram } from '../libbpf/program.ts';
import { POLICY_MAPS } from './policy-maps.ts';
import { activeSlot, type Maps } from './state.ts';

/**
 * How large a map is. `entries`: absent where the kernel can't count them, or not in time. Maps of the policy are made
 * to fit. `memoryBytes`: absent where the kernel does not tell.
 */
export interface MapSize {
  readonly name: string;
  readonly kind: string;
  readonly entries?: number;
  readonly maxEntries: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly memoryBytes?: number;
}

/** How large a program is; `tag` is the hash of its instructions in hex. */
export interface ProgramSize {
  readonly name: string;
  readonly id: number;
  readonly tag: string;
  readonly xlatedBytes: number;
  readonly jitedBytes: number;
  readonly memoryBytes?: number;
}

/** Of all maps together: counting is for people, and a map of a million entries is full anyway. */
const COUNT_LIMIT_MS = 400;

const KINDS: ReadonlyMap<number, string> = new Map([
  [MapType.hash, 'hash'],
  [MapType.array, 'array'],
  [MapType.perCpuHash, 'per-cpu-hash'],
  [MapType.perCpuArray, 'per-cpu-array'],
  [MapType.lruHash, 'lru-hash'],
  [MapType.lruPerCpuHash, 'lru-per-cpu-hash'],
  [MapType.lpmTrie, 'lpm-trie'],
  [MapType.cgroupStorage, 'cgroup-storage'],
  [MapType.socketStorage, 'socket-storage'],
  [MapType.ringBuffer, 'ring'],
]);
const COUNTED = new Set([MapType.hash, MapType.lruHash]);

/**
 * The maps of an instance, of the policy those of the slot in force. `known` has entries that somebody counted already.
 * Bounded in time. Throws SystemError.
 */
export function listMapSizes(maps: Maps, known: ReadonlyMap<string, number>): MapSize[] {
  const until = performance.now() + COUNT_LIMIT_MS;
  const slot = Buffer.alloc(4);
  slot.writeUInt32LE(activeSlot(maps));
  const policyMaps: readonly string[] = POLICY_MAPS;
  return [...maps.entries()].flatMap(([name, map]) => {
    if (!policyMaps.includes(name)) return measureMap(name, map, until, known.get(name));
    const id = map.get(slot)?.readUInt32LE();
    if (id === undefined) return [];
    using inner = BpfMap.byId(id);
    // One of 1 is what an empty one has, too.
    const { maxEntries } = inner.info;
    return measureMap(name, inner, until, maxEntries > 1 ? maxEntries : undefined);
  });
}

function measureMap(name: string, map: BpfMap, until: number, known: number | undefined): MapSize {
  const { mapType, maxEntries, keyBytes, valueBytes } = map.info;
  const left = until - performance.now();
  const entries = known ?? (COUNTED.has(mapType) && left > 0 ? map.count(left) : undefined);
  const memoryBytes = map.memoryBytes();
  return {
    name,
    kind: KINDS.get(mapType) ?? `kind ${mapType}`,
    ...(entries !== undefined && { entries }),
    maxEntries,
    keyBytes,
    valueBytes,
    ...(memoryBytes !== undefined && { memoryBytes }),
  };
}

/** The programs of these ids, each once; those that are gone are left out. Throws SystemError. */
export function listProgramSizes(ids: Iterable<number>): ProgramSize[] {
  return [...new Set(ids)].flatMap((id) => {
    using program = BpfProgram.find(id);
    if (!program) return [];
    const { name, tag, xlatedBytes, jitedBytes } = program.info();
    const memoryBytes = program.memoryBytes();
    return { name, id, tag, xlatedBytes, jitedBytes, ...(memoryBytes !== undefined && { memoryBytes }) };
  });
}
