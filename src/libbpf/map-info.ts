import { checked } from './errno.ts';
import { bpf } from './symbols.ts';

/** Map types by their number in linux/bpf.h. */
export const MapType = {
  hash: 1,
  array: 2,
  perCpuHash: 5,
  perCpuArray: 6,
  lruHash: 9,
  lruPerCpuHash: 10,
  lpmTrie: 11,
  arrayOfMaps: 12,
  hashOfMaps: 13,
  cgroupStorage: 19,
  socketStorage: 24,
  ringBuffer: 27,
};

/** What the kernel tells of a map; `name` is cut to 15 bytes. */
export interface MapInfo {
  readonly mapType: number;
  readonly id: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly name: string;
}

const PER_CPU = new Set([MapType.perCpuHash, MapType.perCpuArray, MapType.lruPerCpuHash]);
let cpus: number | undefined;

/** How many CPUs the kernel may bring up; per-CPU values have one part for each. Throws SystemError. */
export function possibleCpus(): number {
  cpus ??= checked(bpf.possibleCpus(), 'count possible CPUs');
  return cpus;
}

/** What the kernel tells of the map behind a descriptor. Throws SystemError. */
export function readMapInfo(fd: number): MapInfo {
  const info = Buffer.alloc(40); // struct bpf_map_info up to `name`
  checked(bpf.infoByFd(fd, info, encodeCount(info.length)), 'read map info');
  const [mapType = 0, id = 0, keyBytes = 0, valueBytes = 0, maxEntries = 0, flags = 0] = new Uint32Array(
    info.buffer,
    info.byteOffset,
    6,
  );
  const name = info.toString('latin1', 24, 40).replace(/\0.*$/s, '');
  return { mapType, id, keyBytes, valueBytes, maxEntries, flags, name };
}

/** Bytes that a look-up copies: per-CPU maps have one value, padded to 8, for each possible CPU. Throws SystemError. */
export function lookupBytesOf({ mapType, valueBytes }: MapInfo): number {
  return PER_CPU.has(mapType) ? ((valueBytes + 7) & ~7) * possibleCpus() : valueBytes;
}

/** A 32-bit number where C reads one and writes another. */
export function encodeCount(count: number): Buffer {
  return Buffer.from(Uint32Array.of(count).buffer);
}
