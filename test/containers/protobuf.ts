import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A field of a message: a text, a number, or a message of its own. */
export type Field = readonly [fieldNumber: number, value: string | number | Uint8Array];

/** The bytes of a protobuf message with these fields. */
export function message(...fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  for (const [fieldNumber, value] of fields) {
    if (typeof value === 'number') writer.tag(fieldNumber, WireType.Varint).uint32(value);
    else if (typeof value === 'string') writer.tag(fieldNumber, WireType.LengthDelimited).string(value);
    else writer.tag(fieldNumber, WireType.LengthDelimited).bytes(value);
  }
  return writer.finish();
}

/** types.Envelope of containerd, with an event in a google.protobuf.Any. */
export function envelope(namespace: string, topic: string, event: Uint8Array): Uint8Array<ArrayBuffer> {
  return message(
    [1, message([1, 1_700_000_000])],
    [2, namespace],
    [3, topic],
    [4, message([1, 'containerd.events.X'], [2, event])],
  );
}
