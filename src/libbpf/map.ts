import { constants } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { checked, checkedPrivileged } from './errno.ts';
import { Fd } from './fd.ts';
import { BATCH_OPTS, type Batch, readBatches } from './map-batches.ts';
import { encodeCount, lookupBytesOf, type MapInfo, possibleCpus, readMapInfo } from './map-info.ts';
import { memoryOf } from './memory.ts';
import { openPin, pinFd } from './pin.ts';
import { type Bytes, bpf } from './symbols.ts';

/** Allocate entries when they are added; tries need it. */
export const BPF_F_NO_PREALLOC = 1;

/** The shape of a map that is to be made. `innerMap` gives an outer map the shape of its values. */
export interface MapShape {
  readonly mapType: number;
  /** At most 15 bytes of letters, digits, `_` and `.` */
  readonly name: string;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly flags?: number;
  readonly innerMap?: BpfMap;
}

const BPF_NOEXIST = 1;
const UPDATE_CHUNK = 10_000;
const { ENOENT, EEXIST } = constants.errno;

/** Owns a BPF map. Keys and values are bytes of exactly the map's sizes. */
export class BpfMap implements Disposable {
  readonly #fd: Fd;
  readonly info: MapInfo;
  /** Bytes that a look-up copies: per-CPU maps have one value, padded to 8, for each possible CPU. */
  readonly #lookupBytes: number;

  /** Takes ownership of `fd`. Throws SystemError. */
  constructor(fd: Fd) {
    this.#fd = fd;
    this.info = readMapInfo(fd.number);
    this.#lookupBytes = lookupBytesOf(this.info);
  }

  /** Makes a map. Throws SystemError, UnsupportedError without privilege. */
  static create(shape: MapShape): BpfMap {
    const opts = Buffer.alloc(48); // struct bpf_map_create_opts
    opts.writeBigUInt64LE(48n, 0);
    if (shape.innerMap) opts.writeInt32LE(shape.innerMap.fd, 24);
    opts.writeUInt32LE(shape.flags ?? 0, 28);
    const answer = bpf.mapCreate(
      shape.mapType,
      shape.name,
      shape.keyBytes,
      shape.valueBytes,
      shape.maxEntries,
      opts,
    );
    return new BpfMap(new Fd(checkedPrivileged(answer, `create map "${shape.name}"`)));
  }

  /** The map pinned at `path`, or `undefined`. Throws SystemError. */
  static openPinned(path: string): BpfMap | undefined {
    const fd = openPin(path, 'map');
    return fd && new BpfMap(fd);
  }

  /** The map with this id. Throws SystemError (ENOENT), UnsupportedError. */
  static byId(id: number): BpfMap {
    return new BpfMap(new Fd(checkedPrivileged(bpf.mapById(id), `open BPF map ${id}`)));
  }

  get fd(): number {
    return this.#fd.number;
  }

  /** Bytes of kernel memory that it takes, as the kernel tells; `undefined` when it does not. */
  memoryBytes(): number | undefined {
    return memoryOf(this.fd);
  }

  /** Throws SystemError. */
  pin(path: string): void {
    pinFd(this.fd, path);
  }

  /** The value of `key`, `undefined` when absent; of a per-CPU map see `getPerCpu`. Throws SystemError. */
  get(key: Bytes): Buffer | undefined {
    this.#checkKey(key);
    const value = Buffer.allocUnsafe(this.#lookupBytes);
    const answer = bpf.mapLookup(this.fd, key, value);
    if (answer === -ENOENT) return undefined;
    checked(answer, this.#doing('look up a key'));
    return value;
  }

  /** The value of each possible CPU, `undefined` when `key` is absent. Throws SystemError. */
  getPerCpu(key: Bytes): Buffer[] | undefined {
    const all = this.get(key);
    if (all === undefined) return undefined;
    const values: Buffer[] = [];
    const step = this.#lookupBytes / possibleCpus();
    for (let at = 0; at < all.length; at += step) values.push(all.subarray(at, at + this.info.valueBytes));
    return values;
  }

  /** Adds or replaces. Throws SystemError: E2BIG (hash) or ENOSPC (trie) for a full map. */
  set(key: Bytes, value: Bytes): void {
    this.#checkKey(key);
    this.#checkValue(value);
    checked(bpf.mapUpdate(this.fd, key, value, 0), this.#doing('set a key'));
  }

  /** Adds; false when the key is there (tries before Linux 6.13 replace all the same). Throws SystemError. */
  insert(key: Bytes, value: Bytes): boolean {
    this.#checkKey(key);
    this.#checkValue(value);
    const answer = bpf.mapUpdate(this.fd, key, value, BPF_NOEXIST);
    if (answer === -EEXIST) return false;
    checked(answer, this.#doing('insert a key'));
    return true;
  }

  /**
   * As `set`, in a thread: an update of an outer map waits for an RCU grace period, and several overlap.
   * The bytes are copied before it returns.
   */
  async setInThread(key: Bytes, value: Bytes): Promise<void> {
    this.#checkKey(key);
    this.#checkValue(value);
    const answer = await bpf.mapUpdate.inThread(this.fd, Buffer.from(key), Buffer.from(value), 0);
    checked(answer, this.#doing('set a key'));
  }

  /** False when it was not there. Throws SystemError. */
  delete(key: Bytes): boolean {
    this.#checkKey(key);
    const answer = bpf.mapDelete(this.fd, key);
    if (answer === -ENOENT) return false;
    checked(answer, this.#doing('delete a key'));
    return true;
  }

  /** Deletes, and answers the value that it had then; `undefined` when it was not there. Throws SystemError. */
  take(key: Bytes): Buffer | undefined {
    this.#checkKey(key);
    const value = Buffer.allocUnsafe(this.#lookupBytes);
    const answer = bpf.mapTake(this.fd, key, value);
    if (answer === -ENOENT) return undefined;
    checked(answer, this.#doing('take a key'));
    return value;
  }

  /** As `delete`, in a thread, for what waits as `setInThread` does. */
  async deleteInThread(key: Bytes): Promise<boolean> {
    this.#checkKey(key);
    const answer = await bpf.mapDelete.inThread(this.fd, Buffer.from(key));
    if (answer === -ENOENT) return false;
    checked(answer, this.#doing('delete a key'));
    return true;
  }

  /**
   * Adds or replaces `count` entries that lie end to end in `keys` and `values`.
   * Lets the event loop turn between chunks of 10,000; not atomic. Throws SystemError.
   */
  async updateBatch(keys: Uint8Array, values: Uint8Array, count: number): Promise<void> {
    const { keyBytes, valueBytes } = this.info;
    if (keys.length < count * keyBytes || values.length < count * valueBytes) {
      throw new RangeError(`Cannot update ${count} entries: keys or values are shorter than that`);
    }
    for (let done = 0; done < count; done += UPDATE_CHUNK) {
      if (done > 0) await nextTurn();
      const size = Math.min(UPDATE_CHUNK, count - done);
      const sizeArgument = encodeCount(size);
      const answer = bpf.mapUpdateBatch(
        this.fd,
        keys.subarray(done * keyBytes, (done + size) * keyBytes),
        values.subarray(done * valueBytes, (done + size) * valueBytes),
        sizeArgument,
        BATCH_OPTS,
      );
      checked(answer, this.#doing(`set ${size} keys`));
    }
  }

  /** `count` values of an array from index `from` on, end to end. Throws SystemError. */
  getRange(from: number, count: number): Buffer {
    const values = Buffer.alloc(count * this.info.valueBytes);
    if (count === 0) return values;
    const keys = Buffer.allocUnsafe(count * this.info.keyBytes);
    const before = from > 0 ? encodeCount(from - 1) : null; // the kernel goes on behind it
    const found = encodeCount(count);
    const answer = bpf.mapLookupBatch(this.fd, before, Buffer.alloc(4), keys, values, found, BATCH_OPTS);
    // The last of all entries is told so.
    if (answer !== -ENOENT || found.readUInt32LE() !== count) checked(answer, this.#doing('read a range'));
    return values;
  }

  /**
   * Key and value of all entries, read in batches; the bytes stay valid.
   * Of a hash that changes meanwhile each entry that stays is seen once. Throws SystemError.
   */
  *entries(): Generator<[key: Buffer, value: Buffer]> {
    const { keyBytes } = this.info;
    const valueBytes = this.#lookupBytes;
    for (const { keys, values, count } of this.#batches(false)) {
      for (let i = 0; i < count; i++) {
        yield [
          keys.subarray(i * keyBytes, (i + 1) * keyBytes),
          values.subarray(i * valueBytes, (i + 1) * valueBytes),
        ];
      }
    }
  }

  /** As `entries`, `most` of them end to end at a time: for tables too large to look at without a pause. */
  batches(most: number): Generator<Batch> {
    return this.#batches(false, most);
  }

  /**
   * Calls `look` with where each entry begins in keys and values, which are valid during the call only. False when that
   * was not done after `limitMs`: then it has seen some of them. Throws SystemError.
   */
  visit(
    look: (keys: DataView, keyAt: number, values: DataView, valueAt: number) => void,
    limitMs: number,
  ): boolean {
    const { keyBytes } = this.info;
    const valueBytes = this.#lookupBytes;
    const until = performance.now() + limitMs;
    for (const { keys, values, count } of this.#batches(true)) {
      const keyView = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
      const valueView = new DataView(values.buffer, values.byteOffset, values.byteLength);
      for (let i = 0; i < count; i++) look(keyView, i * keyBytes, valueView, i * valueBytes);
      if (performance.now() > until) return false;
    }
    return true;
  }

  /** How many entries a hash has; `undefined` when they were not counted after `limitMs`. Throws SystemError. */
  count(limitMs: number): number | undefined {
    let total = 0;
    const until = performance.now() + limitMs;
    for (const { count } of this.#batches(true)) {
      total += count;
      if (performance.now() > until) return undefined;
    }
    return total;
  }

  #batches(mayReuse: boolean, most?: number): Generator<Batch> {
    const { keyBytes, maxEntries, name } = this.info;
    const source = { fd: this.fd, name, keyBytes, valueBytes: this.#lookupBytes, maxEntries };
    return readBatches(source, { mayReuse, ...(most !== undefined && { most }) });
  }

  /** Idempotent. The map lives on while a pin or a program holds it. */
  close(): void {
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #doing(what: string): string {
    return `${what} of map "${this.info.name}"`;
  }

  // C copies the map's sizes whatever we pass: a shorter buffer would be read or written past its end.
  #checkKey(key: Bytes): void {
    if (key.length === this.info.keyBytes) return;
    throw new RangeError(
      `${this.#doing('Cannot use a key')}: ${key.length} bytes, not ${this.info.keyBytes}`,
    );
  }

  #checkValue(value: Bytes): void {
    if (value.length === this.#lookupBytes) return;
    throw new RangeError(
      `${this.#doing('Cannot use a value')}: ${value.length} bytes, not ${this.#lookupBytes}`,
    );
  }
}
