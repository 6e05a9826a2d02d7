import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * The fields of one protobuf message by their numbers, values in the order they came. Numbers are those of 32-bit
 * varints; fields of other wire types are left out.
 */
export class Fields {
  readonly #values = new Map<number, (number | Uint8Array)[]>();

  /** Throws RangeError when the bytes are no protobuf message. */
  constructor(bytes: Uint8Array) {
    const reader = new BinaryReader(bytes);
    try {
      while (reader.pos < reader.len) {
        const [fieldNumber, wireType] = reader.tag();
        if (wireType === WireType.Varint) this.#add(fieldNumber, reader.uint32());
        else if (wireType === WireType.LengthDelimited) this.#add(fieldNumber, reader.bytes());
        else reader.skip(wireType, fieldNumber);
      }
    } catch (cause) {
      throw new RangeError(`no protobuf message: ${cause instanceof Error ? cause.message : cause}`, {
        cause,
      });
    }
  }

  /** The last number of that field, as proto3 has it for one that is not repeated; 0 when there is none. */
  number(fieldNumber: number): number {
    const value = this.#values.get(fieldNumber)?.findLast((each) => typeof each === 'number');
    return typeof value === 'number' ? value : 0;
  }

  /** The last bytes of that field; none when it is absent. */
  bytes(fieldNumber: number): Uint8Array {
    return this.all(fieldNumber).at(-1) ?? new Uint8Array(0);
  }

  text(fieldNumber: number): string {
    return new TextDecoder().decode(this.bytes(fieldNumber));
  }

  message(fieldNumber: number): Fields {
    return new Fields(this.bytes(fieldNumber));
  }

  /** The messages, texts or bytes of a repeated field. */
  all(fieldNumber: number): Uint8Array[] {
    return (this.#values.get(fieldNumber) ?? []).filter((value) => typeof value !== 'number');
  }

  /** The entries of a `map<string, string>`. */
  entries(fieldNumber: number): (readonly [string, string])[] {
    return this.all(fieldNumber).map((bytes) => {
      const entry = new Fields(bytes);
      return [entry.text(1), entry.text(2)] as const;
    });
  }

  #add(fieldNumber: number, value: number | Uint8Array): void {
    const values = this.#values.get(fieldNumber);
    if (values) values.push(value);
    else this.#values.set(fieldNumber, [value]);
  }
}
