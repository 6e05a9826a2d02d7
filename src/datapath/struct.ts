import { LAYOUT } from './layout.ts';

type StructName = keyof typeof LAYOUT;
type FieldName<S extends StructName> = keyof (typeof LAYOUT)[S]['fields'] & string;

/** What a field takes: a number, a 64-bit number, bytes as they are, or an array of 32-bit numbers. */
export type FieldValue = number | bigint | Uint8Array | readonly number[];
type Fields<S extends StructName> = { readonly [F in FieldName<S>]?: FieldValue };

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * Encodes a struct of bpf/contract.h; fields not given are zero.
 * Fields whose name ends in `_be` are written in network order, others in host order.
 * Throws RangeError for a number that does not fit.
 */
export function encodeStruct<S extends StructName>(struct: S, values: Fields<S>): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(LAYOUT[struct].size);
  writeStruct(bytes, 0, struct, values);
  return bytes;
}

/** Writes the given fields into a struct that lies at `at` of `bytes`. */
export function writeStruct<S extends StructName>(
  bytes: Uint8Array,
  at: number,
  struct: S,
  values: Fields<S>,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [name, value] of Object.entries<FieldValue | undefined>(values)) {
    if (value === undefined) continue;
    const [offset, size] = placeOf(struct, name);
    writeField(view, at + offset, size, value, name);
  }
}

/** A field of up to 32 bits of a struct at the start of `bytes`. */
export function readField<S extends StructName>(bytes: Uint8Array, struct: S, field: FieldName<S>): number {
  const value = readWide(bytes, struct, field);
  if (value > 0xffffffffn) throw new RangeError(`"${struct}.${field}" is wider than 32 bits`);
  return Number(value);
}

/** A field of up to 64 bits of a struct at the start of `bytes`. */
export function readWide<S extends StructName>(bytes: Uint8Array, struct: S, field: FieldName<S>): bigint {
  const [offset, size] = placeOf(struct, field);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = LITTLE_ENDIAN && !field.endsWith('_be');
  if (size === 1) return BigInt(view.getUint8(offset));
  if (size === 2) return BigInt(view.getUint16(offset, little));
  if (size === 4) return BigInt(view.getUint32(offset, little));
  return view.getBigUint64(offset, little);
}

/** A copy of the bytes of a field, such as an address. */
export function readBytes<S extends StructName>(
  bytes: Uint8Array,
  struct: S,
  field: FieldName<S>,
): Uint8Array<ArrayBuffer> {
  const [offset, size] = placeOf(struct, field);
  return Uint8Array.from(bytes.subarray(offset, offset + size));
}

/** Offset and size of a field, in bytes. */
export function placeOf(struct: StructName, field: string): readonly [offset: number, size: number] {
  const fields: { readonly [name: string]: readonly [number, number] } = LAYOUT[struct].fields;
  const place = fields[field];
  if (!place) throw new RangeError(`no field "${field}" in struct "${struct}"`);
  return place;
}

function writeField(view: DataView, at: number, size: number, value: FieldValue, name: string): void {
  const little = LITTLE_ENDIAN && !name.endsWith('_be');
  if (value instanceof Uint8Array) {
    if (value.length > size) throw new RangeError(`"${name}" takes ${size} bytes, not ${value.length}`);
    new Uint8Array(view.buffer, view.byteOffset + at, size).set(value);
    return;
  }
  if (typeof value === 'object') {
    const width = name.startsWith('dns_ports') ? 2 : 4;
    if (value.length * width > size) throw new RangeError(`"${name}" takes ${size / width} numbers`);
    value.forEach((item, index) => {
      writeField(view, at + index * width, width, item, name);
    });
    return;
  }
  if (typeof value === 'bigint' || size === 8) {
    view.setBigUint64(at, BigInt(value), little);
    return;
  }
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
    throw new RangeError(`"${name}" does not take ${value}`);
  }
  if (size === 1) view.setUint8(at, value);
  else if (size === 2) view.setUint16(at, value, little);
  else view.setUint32(at, value, little);
}
