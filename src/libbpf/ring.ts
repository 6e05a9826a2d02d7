/** Bits of a record's length word, linux/bpf.h. */
const BUSY = 0x80000000;
const DISCARD = 0x40000000;
const HEADER_BYTES = 8;
/* Each store makes a BigInt; the kernel gets its room back this often at least. */
const STORE_EVERY = 64;

/** Arithmetic of a BPF ring buffer on views of its memory; see Documentation/bpf/ringbuf.rst. */
export class Ring {
  readonly #consumer: BigUint64Array;
  readonly #producer: BigUint64Array;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #ringBytes: number;

  /**
   * @param consumer the page that holds our position @param producer the page that holds the kernel's
   * @param data the ring's bytes, as many as a power of two
   */
  constructor(consumer: ArrayBuffer, producer: ArrayBuffer, data: ArrayBuffer) {
    this.#consumer = new BigUint64Array(consumer, 0, 1);
    this.#producer = new BigUint64Array(producer, 0, 1);
    this.#bytes = new Uint8Array(data);
    this.#words = new Int32Array(data);
    this.#ringBytes = data.byteLength;
  }

  /**
   * Hands at most `limit` records, those there when it was called, to `take`, as copies.
   * Ends at a record that is still being written, and after `take` answered false.
   * A record counts as taken also when `take` throws. Answers how many were taken; discarded ones count.
   */
  drain(limit: number, take: (bytes: Uint8Array) => boolean): number {
    let position = Number(Atomics.load(this.#consumer, 0));
    const end = Number(Atomics.load(this.#producer, 0));
    let taken = 0;
    try {
      for (let more = true; more && position < end && taken < limit; ) {
        const at = position % this.#ringBytes;
        const header = Atomics.load(this.#words, at / 4) >>> 0;
        if ((header & BUSY) !== 0) break;
        const length = header & ~DISCARD;
        // The kernel may write here as soon as the position is stored.
        const copy = (header & DISCARD) === 0 ? this.#copy(at + HEADER_BYTES, length) : undefined;
        position += (HEADER_BYTES + length + 7) & ~7;
        taken++;
        if (taken % STORE_EVERY === 0) Atomics.store(this.#consumer, 0, BigInt(position));
        if (copy !== undefined) more = take(copy);
      }
    } finally {
      Atomics.store(this.#consumer, 0, BigInt(position));
    }
    return taken;
  }

  /* The kernel maps the bytes twice in a row, so that no record is split; half of that is half the memory. */
  #copy(from: number, length: number): Uint8Array {
    const start = from % this.#ringBytes;
    const end = start + length;
    if (end <= this.#ringBytes) return this.#bytes.slice(start, end);
    const copy = new Uint8Array(length);
    copy.set(this.#bytes.subarray(start));
    copy.set(this.#bytes.subarray(0, end - this.#ringBytes), this.#ringBytes - start);
    return copy;
  }
}
