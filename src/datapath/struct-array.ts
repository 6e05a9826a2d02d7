import { LAYOUT } from './layout.ts';
import { placeOf } from './struct.ts';

type StructName = keyof typeof LAYOUT;
type FieldName<S extends StructName> = keyof (typeof LAYOUT)[S]['fields'] & string;

/** Structs of bpf/contract.h end to end, zero at first: what a batch of map entries takes. Written a field at a time. */
export class StructArray<S extends StructName> {
  readonly bytes: Buffer<ArrayBuffer>;
  readonly count: number;
  readonly #struct: S;
  readonly #view: DataView;

  constructor(struct: S, count: number) {
    this.#struct = struct;
    this.count = count;
    this.bytes = Buffer.alloc(LAYOUT[struct].size * count);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }

  /** Where a field of a struct lies in `bytes`. */
  at(index: number, field: FieldName<S>): number {
    return index * LAYOUT[this.#struct].size + placeOf(this.#struct, field)[0];
  }

  /** Writes a field of 8, 16 or 32 bits, in host order, of every struct. */
  fill(field: FieldName<S>, numberOf: (index: number) => number): void {
    const size = placeOf(this.#struct, field)[1];
    const step = LAYOUT[this.#struct].size;
    let at = this.at(0, field);
    for (let index = 0; index < this.count; index++, at += step) {
      const value = numberOf(index);
      if (size === 1) this.#view.setUint8(at, value);
      else if (size === 2) this.#view.setUint16(at, value, IS_LITTLE_ENDIAN);
      else this.#view.setUint32(at, value, IS_LITTLE_ENDIAN);
    }
  }

  /** Writes an array of 32-bit numbers; what it does not fill stays zero. */
  fillList(field: FieldName<S>, valuesOf: (index: number) => readonly number[]): void {
    for (let index = 0; index < this.count; index++) {
      let at = this.at(index, field);
      for (const value of valuesOf(index)) {
        this.#view.setUint32(at, value, IS_LITTLE_ENDIAN);
        at += 4;
      }
    }
  }

  /** Writes latin1 text; what it does not fill stays zero. Throws RangeError for a longer one than the field. */
  fillText(field: FieldName<S>, textOf: (index: number) => string): void {
    const size = placeOf(this.#struct, field)[1];
    const texts = Array.from({ length: this.count }, (_, index) => textOf(index));
    const all = Buffer.from(texts.join(''), 'latin1');
    let from = 0;
    texts.forEach((text, index) => {
      if (text.length > size) throw new RangeError(`"${field}" takes ${size} bytes, not ${text.length}`);
      this.bytes.set(all.subarray(from, from + text.length), this.at(index, field));
      from += text.length;
    });
  }
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
