import { checkedErrno, failure } from './errno.ts';
import { duplicate, type Fd } from './fd.ts';
import type { BpfMap } from './map.ts';
import { MapType } from './map-info.ts';
import { Readiness } from './readiness.ts';
import { Ring } from './ring.ts';
import { lastErrno, libc, type Pointer, viewOf } from './symbols.ts';

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffffffffffffffffn;
const RECORDS_PER_TURN = 4096;

interface Mapping {
  readonly at: Pointer;
  readonly bytes: number;
}

/** Owns the reading end of a ring buffer; a ring has one reader. */
export class RingReader implements Disposable {
  readonly #fd: Fd;
  readonly #onRecord: (bytes: Uint8Array) => void;
  readonly #mappings: Mapping[] = [];
  #ring: Ring | undefined;
  #readiness: Readiness | undefined;
  #draining = false;
  #closed = false;

  /** Use `openRing`. Takes ownership of `fd`. */
  constructor(fd: Fd, ringBytes: number, onRecord: (bytes: Uint8Array) => void) {
    this.#fd = fd;
    this.#onRecord = onRecord;
    const page = libc.pageSize();
    try {
      const consumer = this.#map(page, PROT_READ | PROT_WRITE, 0);
      const produced = this.#map(page + ringBytes, PROT_READ, page);
      const data = viewOf(produced.at + BigInt(page), ringBytes);
      this.#ring = new Ring(viewOf(consumer.at, page), viewOf(produced.at, page), data);
      // More than that comes with the next turn: the descriptor stays readable.
      this.#readiness = new Readiness(fd.number, () => this.#drain(RECORDS_PER_TURN));
    } catch (thrown) {
      this.close();
      throw thrown;
    }
  }

  /** Hands over what is in the ring now, without waiting; answers how many records were taken. */
  drain(): number {
    return this.#drain(Number.POSITIVE_INFINITY);
  }

  /** Idempotent; no record is handed over after it. */
  close(): void {
    this.#closed = true;
    this.#readiness?.close();
    this.#readiness = undefined;
    this.#fd.close();
    // Called by a record's handler: `#drain` still reads the memory and closes after that.
    if (!this.#draining) this.#unmap();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #drain(limit: number): number {
    if (this.#ring === undefined || this.#draining) return 0;
    this.#draining = true;
    try {
      return this.#ring.drain(limit, (bytes) => {
        this.#onRecord(bytes);
        return !this.#closed;
      });
    } finally {
      this.#draining = false;
      if (this.#closed) this.#unmap();
    }
  }

  #map(bytes: number, protection: number, offset: number): Mapping {
    const at = libc.mmap(null, bytes, protection, MAP_SHARED, this.#fd.number, offset);
    if (at === MAP_FAILED) throw failure(lastErrno(), 'map a BPF ring buffer');
    const mapping = { at, bytes };
    this.#mappings.push(mapping);
    return mapping;
  }

  /* Records are copies: the ring was the last to see this memory. */
  #unmap(): void {
    this.#ring = undefined;
    for (const { at, bytes } of this.#mappings.splice(0)) {
      checkedErrno(libc.munmap(at, bytes), 'unmap a BPF ring buffer');
    }
  }
}

/**
 * Calls `onRecord` for each record of the ring buffer `map`, which stays the caller's, until the reader is closed.
 * The bytes are the handler's to keep. Keeps the event loop alive. Throws SystemError.
 */
export function openRing(map: BpfMap, onRecord: (bytes: Uint8Array) => void): RingReader {
  if (map.info.mapType !== MapType.ringBuffer) {
    throw new RangeError(
      `Cannot read map "${map.info.name}" as a ring buffer: its type is ${map.info.mapType}`,
    );
  }
  return new RingReader(duplicate(map.fd), map.info.maxEntries, onRecord);
}
