import { constants } from 'node:os';
import { checked } from './errno.ts';
import { encodeCount } from './map-info.ts';
import { bpf } from './symbols.ts';

/** Some entries of a map that lie end to end. */
export interface Batch {
  readonly keys: Buffer;
  readonly values: Buffer;
  readonly count: number;
}

/** A map as far as it is read; `valueBytes` are those that a look-up copies. */
export interface BatchSource {
  readonly fd: number;
  readonly name: string;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
}

/** `most` = entries at a time, default a megabyte of them; `mayReuse`: bytes are valid until the next batch only. */
export interface BatchOptions {
  readonly most?: number;
  readonly mayReuse: boolean;
}

const CHUNK_BYTES = 1 << 20;
const LEAST = 16;
const { ENOENT, ENOSPC } = constants.errno;

/** struct bpf_map_batch_opts without flags. */
export const BATCH_OPTS = Buffer.alloc(24);
BATCH_OPTS.writeBigUInt64LE(24n);

/** All entries of a map. Of a hash that changes meanwhile each entry that stays is seen once. Throws SystemError. */
export function* readBatches(
  { fd, name, keyBytes, valueBytes, maxEntries }: BatchSource,
  { most, mayReuse }: BatchOptions,
): Generator<Batch> {
  let chunk = Math.max(LEAST, most ?? Math.floor(CHUNK_BYTES / (keyBytes + valueBytes)));
  chunk = Math.min(chunk, Math.max(LEAST, maxEntries));
  // A cursor is a key, or a 32-bit bucket for hashes.
  const cursorBytes = Math.max(4, keyBytes);
  let cursor: Buffer | null = null;
  let keys = Buffer.alloc(0);
  let values = keys;
  for (;;) {
    const next = Buffer.alloc(cursorBytes);
    if (!mayReuse || keys.length !== chunk * keyBytes) {
      keys = Buffer.allocUnsafe(chunk * keyBytes);
      values = Buffer.allocUnsafe(chunk * valueBytes);
    }
    const count = encodeCount(chunk);
    const answer = bpf.mapLookupBatch(fd, cursor, next, keys, values, count, BATCH_OPTS);
    // A bucket holds more than a chunk: the kernel gives all of a bucket or nothing.
    if (answer === -ENOSPC) {
      chunk *= 2;
      continue;
    }
    if (answer !== -ENOENT) checked(answer, `read entries of map "${name}"`);
    yield { keys, values, count: count.readUInt32LE() };
    if (answer === -ENOENT) return;
    cursor = next;
  }
}
