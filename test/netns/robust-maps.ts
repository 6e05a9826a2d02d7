import { HOST_POLICY } from '../../src/datapath/compile.ts';
import { Pins } from '../../src/datapath/pins.ts';
import type { StateMapName } from '../../src/datapath/state.ts';
import { encodeStruct } from '../../src/datapath/struct.ts';
import { BpfMap } from '../../src/libbpf/map.ts';
import { parseAddress } from '../../src/policy/prefix.ts';

/** Whether a pinned map of `instance` has this key. */
export function hasKey(instance: string, name: StateMapName, key: Buffer): boolean {
  using map = openMap(instance, name);
  return map.get(key) !== undefined;
}

/** Deletes every entry of a pinned map, as an LRU map does with old ones; answers how many there were. */
export function evictAll(instance: string, name: StateMapName): number {
  using map = openMap(instance, name);
  return [...map.entries()].filter(([key]) => map.delete(key)).length;
}

/** The key of a map of addresses of the host policy, such as `learned`. */
export function hostKey(address: string): Buffer {
  return encodeStruct('host_key', { addr: parseAddress(address), policy: HOST_POLICY });
}

function openMap(instance: string, name: StateMapName): BpfMap {
  const path = new Pins(instance).map(name);
  const map = BpfMap.openPinned(path);
  if (!map) throw new Error(`Cannot open "${path}": no such pin`);
  return map;
}
