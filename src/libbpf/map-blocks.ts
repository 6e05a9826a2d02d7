import { constants } from 'node:os';
import { checked } from './errno.ts';
import type { BpfMap } from './map.ts';
import { MapType } from './map-info.ts';
import { bpf } from './symbols.ts';

/** Some entries of a map: `count` keys and values that lie end to end, valid until the next block is asked for. */
export interface MapBlock {
  readonly keys: DataView;
  readonly values: DataView;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly count: number;
}

const { ENOENT, ENOSPC } = constants.errno;
const COUNTABLE: readonly number[] = [MapType.hash, MapType.lruHash];

/** Whether `readBlocks` can read it. */
export function isCountable(map: BpfMap): boolean {
  return COUNTABLE.includes(map.info.mapType);
}

/**
 * All entries of a hash in blocks of about `atOnce`, read in a thread: maps of a quarter of a million entries are read
 * while the event loop does other things. Of a map that changes meanwhile each entry that stays is seen once.
 * The map stays open meanwhile. Throws SystemError; RangeError for another type of map.
 */
export async function* readBlocks(map: BpfMap, atOnce: number): AsyncGenerator<MapBlock> {
  if (!isCountable(map)) throw new RangeError(`Cannot read map "${map.info.name}" in blocks: it is no hash`);
  const { keyBytes, valueBytes, name } = map.info;
  let room = Math.max(16, Math.min(atOnce, map.info.maxEntries));
  let [keys, values] = [Buffer.alloc(room * keyBytes), Buffer.alloc(room * valueBytes)];
  let cursor: Buffer | null = null;
  for (;;) {
    const next: Buffer = Buffer.alloc(Math.max(4, keyBytes));
    const found = Buffer.alloc(4);
    found.writeUInt32LE(room);
    const options = Buffer.alloc(24); // struct bpf_map_batch_opts without flags
    options.writeBigUInt64LE(24n);
    const answer: number = await bpf.mapLookupBatch.inThread(
      map.fd,
      cursor,
      next,
      keys,
      values,
      found,
      options,
    );
    // A bucket holds more than there is room for: the kernel gives all of a bucket or nothing.
    if (answer === -ENOSPC) {
      room *= 2;
      [keys, values] = [Buffer.alloc(room * keyBytes), Buffer.alloc(room * valueBytes)];
      continue;
    }
    if (answer !== -ENOENT) checked(answer, `read a block of map "${name}"`);
    yield { keys: viewOf(keys), values: viewOf(values), keyBytes, valueBytes, count: found.readUInt32LE() };
    if (answer === -ENOENT) return;
    cursor = next;
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
