import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ring } from '../../src/libbpf/ring.ts';

const RING_BYTES = 64;
const BUSY = 0x80000000;
const DISCARD = 0x40000000;

/** Plays the kernel: writes records into memory of its own, as kernel/bpf/ringbuf.c does. */
class Producer {
  readonly consumer = new ArrayBuffer(8);
  readonly producer = new ArrayBuffer(8);
  readonly data = new ArrayBuffer(RING_BYTES);
  readonly ring = new Ring(this.consumer, this.producer, this.data);
  #position = 0;

  constructor(start = 0) {
    this.#position = start;
    new BigUint64Array(this.consumer)[0] = BigInt(start);
    new BigUint64Array(this.producer)[0] = BigInt(start);
  }

  /** Writes a record; it goes on at the start where it meets the end. */
  write(payload: string, flags = 0): number {
    const at = this.#position;
    const record = Buffer.alloc((8 + payload.length + 7) & ~7);
    record.writeUInt32LE((payload.length | flags) >>> 0, 0);
    record.write(payload, 8);
    const bytes = new Uint8Array(this.data);
    for (const [i, byte] of record.entries()) {
      bytes[(at + i) % RING_BYTES] = byte;
    }
    this.#position += record.length;
    new BigUint64Array(this.producer)[0] = BigInt(this.#position);
    return at;
  }

  get consumed(): number {
    return Number(new BigUint64Array(this.consumer)[0]);
  }

  drain(limit = 100): string[] {
    const taken: string[] = [];
    this.ring.drain(limit, (bytes) => taken.push(Buffer.from(bytes).toString()) > 0);
    return taken;
  }
}

test('Ring.drain of an empty ring takes nothing', () => {
  const kernel = new Producer();
  assert.deepEqual(kernel.drain(), []);
  assert.equal(kernel.consumed, 0);
});

test('Ring.drain takes records in order and gives their room back', () => {
  const kernel = new Producer();
  kernel.write('a');
  kernel.write('eight888');
  assert.deepEqual(kernel.drain(), ['a', 'eight888']);
  assert.equal(kernel.consumed, 32);
  assert.deepEqual(kernel.drain(), []);
});

test('Ring.drain reads a record that runs over the end of the ring', () => {
  const kernel = new Producer(48);
  kernel.write('over the end');
  assert.deepEqual(kernel.drain(), ['over the end']);
});

test('Ring.drain goes on past 4 GiB of positions', () => {
  const start = 2 ** 32 - 8;
  const kernel = new Producer(start);
  kernel.write('far');
  assert.deepEqual(kernel.drain(), ['far']);
  assert.equal(kernel.consumed, start + 16);
});

test('Ring.drain skips a discarded record and counts it', () => {
  const kernel = new Producer();
  kernel.write('no', DISCARD);
  kernel.write('yes');
  assert.equal(
    kernel.ring.drain(10, (bytes) => {
      assert.equal(Buffer.from(bytes).toString(), 'yes');
      return true;
    }),
    2,
  );
});

test('Ring.drain stops at a record that is still written, and takes it later', () => {
  const kernel = new Producer();
  kernel.write('a');
  const at = kernel.write('b', BUSY);
  kernel.write('c');
  assert.deepEqual(kernel.drain(), ['a']);
  assert.equal(kernel.consumed, at);
  new DataView(kernel.data).setUint32(at, 1, true);
  assert.deepEqual(kernel.drain(), ['b', 'c']);
});

test('Ring.drain takes at most its limit', () => {
  const kernel = new Producer();
  kernel.write('a');
  kernel.write('b');
  assert.deepEqual(kernel.drain(1), ['a']);
  assert.deepEqual(kernel.drain(1), ['b']);
});

test('Ring.drain ends when the taker says so', () => {
  const kernel = new Producer();
  kernel.write('a');
  kernel.write('b');
  assert.equal(
    kernel.ring.drain(10, () => false),
    1,
  );
  assert.deepEqual(kernel.drain(), ['b']);
});

test('Ring.drain leaves a record behind whose taker throws', () => {
  const kernel = new Producer();
  kernel.write('a');
  kernel.write('b');
  const take = () => {
    throw new Error('bad record');
  };
  assert.throws(() => kernel.ring.drain(10, take), /bad record/);
  assert.deepEqual(kernel.drain(), ['b']);
});

test('Ring.drain hands over copies', () => {
  const kernel = new Producer();
  kernel.write('a');
  let kept: Uint8Array = new Uint8Array();
  kernel.ring.drain(1, (bytes) => {
    kept = bytes;
    return true;
  });
  new Uint8Array(kernel.data).fill(0);
  assert.equal(Buffer.from(kept).toString(), 'a');
});
