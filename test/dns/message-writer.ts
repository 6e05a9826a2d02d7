import type { Rng } from './rng.ts';

/** Labels of a name, without the root. */
export type Labels = readonly Uint8Array[];

/** How names are compressed: well-formed ways, or one that no strict reader takes. */
export type Compression = 'none' | 'shared' | 'forward' | 'self' | 'header' | 'mutual' | 'reserved';

/** Builds a DNS message from the front, and knows where names are that later ones may point to. */
export class MessageWriter {
  readonly #rng: Rng;
  readonly #bytes: number[] = [];
  readonly #suffixes = new Map<string, number>();

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  get length(): number {
    return this.#bytes.length;
  }

  u8(...bytes: readonly number[]): void {
    for (const byte of bytes) this.#bytes.push(byte & 0xff);
  }

  u16(...numbers: readonly number[]): void {
    for (const number of numbers) this.u8(number >> 8, number);
  }

  u32(number: number): void {
    this.u16(number >>> 16, number);
  }

  bytes(bytes: Uint8Array): void {
    this.u8(...bytes);
  }

  /** Writes over a 16-bit field that was left for later. */
  patchU16(offset: number, number: number): void {
    this.#bytes[offset] = (number >> 8) & 0xff;
    this.#bytes[offset + 1] = number & 0xff;
  }

  /** Writes `labels` in random letter case, as a whole or up to a pointer. */
  name(labels: Labels, compression: Compression): void {
    const cut =
      compression === 'none' || compression === 'shared' ? labels.length : this.#rng.below(labels.length + 1);
    for (let index = 0; index <= labels.length; index += 1) {
      const suffix = keyOf(labels.slice(index));
      const known = this.#suffixes.get(suffix);
      if (compression === 'shared' && known !== undefined && index < labels.length) {
        this.u16(0xc000 | known);
        return;
      }
      if (index === cut && cut < labels.length) {
        this.#badPointer(compression);
        return;
      }
      if (this.length < 0x4000 && !this.#suffixes.has(suffix)) this.#suffixes.set(suffix, this.length);
      const label = labels[index];
      if (!label) break;
      this.u8(label.length, ...this.#mixCase(label));
    }
    this.u8(0);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.#bytes);
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

  #mixCase(label: Uint8Array): number[] {
    return [...label].map((byte) => (isLetter(byte) && this.#rng.oneIn(3) ? byte ^ 0x20 : byte));
  }
}

function isLetter(byte: number): boolean {
  return (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
}

function keyOf(labels: Labels): string {
  return labels
    .map((label) => [...label].map((byte) => (isLetter(byte) ? byte | 0x20 : byte)).join(','))
    .join('/');
}
