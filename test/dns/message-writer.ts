import type { Rng } from './rng.ts';

/** Labels of a name, without the root. */
export type Labels = readonly Uint8Array[];

/** How names are compressed: well-formed ways, or one that no strict reader takes. */
export type Compression = 'none' | 'shared' | 'forward' | 'self' | 'header' | 'mutual' | 'reserved';

const MOST_BYTES = 0x1_0000;
/** Reused: a message is copied out when it is finished. */
const SCRATCH = new Uint8Array(MOST_BYTES);
const LOWER = Array.from({ length: 256 }, (_, byte) =>
  String.fromCharCode(byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte),
);

/**
 * Builds a DNS message from the front, and knows where names are that later ones may point to. One at a time: all
 * write into the same memory until `finish`. Throws RangeError past 64 KiB.
 */
export class MessageWriter {
  readonly #rng: Rng;
  readonly #suffixes = new Map<string, number>();
  #length = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  get length(): number {
    return this.#length;
  }

  u8(byte: number): void {
    if (this.#length === MOST_BYTES) throw new RangeError('a DNS message has at most 65,536 bytes here');
    SCRATCH[this.#length] = byte;
    this.#length += 1;
  }

  u16(...numbers: readonly number[]): void {
    for (const number of numbers) {
      this.u8(number >> 8);
      this.u8(number);
    }
  }

  u32(number: number): void {
    this.u16(number >>> 16, number);
  }

  bytes(bytes: Uint8Array): void {
    for (const byte of bytes) this.u8(byte);
  }

  /** Writes over a 16-bit field that was left for later. */
  patchU16(offset: number, number: number): void {
    SCRATCH[offset] = number >> 8;
    SCRATCH[offset + 1] = number;
  }

  /** Writes `labels` in random letter case, as a whole or up to a pointer. */
  name(labels: Labels, compression: Compression): void {
    const isGood = compression === 'none' || compression === 'shared';
    const cut = isGood ? labels.length : this.#rng.below(labels.length + 1);
    const suffixes = suffixesOf(labels);
    for (let index = 0; index <= labels.length; index += 1) {
      const suffix = suffixes[index] ?? '';
      const known = this.#suffixes.get(suffix);
      if (compression === 'shared' && known !== undefined && index < labels.length) {
        this.u16(0xc000 | known);
        return;
      }
      if (index === cut && cut < labels.length) {
        this.#badPointer(compression);
        return;
      }
      if (this.length < 0x4000 && known === undefined) this.#suffixes.set(suffix, this.length);
      const label = labels[index];
      if (!label) break;
      this.u8(label.length);
      for (const byte of label) this.u8(isLetter(byte) && this.#rng.oneIn(3) ? byte ^ 0x20 : byte);
    }
    this.u8(0);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return SCRATCH.slice(0, this.#length);
  }

  #badPointer(compression: Compression): void {
    const here = this.length;
    switch (compression) {
      case 'forward':
        this.u16(0xc000 | (here + 2 + this.#rng.below(40)));
        return;
      case 'self':
        this.u16(0xc000 | here);
        return;
      case 'header':
        this.u16(0xc000 | this.#rng.below(12));
        return;
      case 'mutual':
        // Each of the two points to the other.
        this.u16(0xc000 | (here + 2), 0xc000 | here);
        return;
      default:
        this.u8(this.#rng.pick([0x40, 0x80]) | this.#rng.below(64));
    }
  }
}

function isLetter(byte: number): boolean {
  return (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
}

/** A text for what begins at each label, the root's last, the same for names that differ in ASCII case only. */
function suffixesOf(labels: Labels): string[] {
  const suffixes = [''];
  for (let index = labels.length - 1; index >= 0; index -= 1) {
    const label = labels[index] ?? [];
    let text = String.fromCharCode(label.length);
    for (const byte of label) text += LOWER[byte];
    suffixes.push(text + suffixes[suffixes.length - 1]);
  }
  return suffixes.reverse();
}
