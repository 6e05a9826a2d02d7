/** Attributes of a netlink message by type; of repeated ones the last. */
export type Attributes = ReadonlyMap<number, Buffer>;

const HEADER_BYTES = 4;
const TYPE_MASK = 0x3fff;
const MOST_BYTES = 0xffff;

/** Reads the attributes that fill `bytes`, RFC 3549 2.3. Throws RangeError when a length runs past the end. */
export function decodeAttributes(bytes: Buffer): Attributes {
  const attributes = new Map<number, Buffer>();
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < HEADER_BYTES || at + length > bytes.length) {
      throw new RangeError(
        `Cannot read a netlink attribute of ${length} bytes: ${bytes.length - at} are left`,
      );
    }
    attributes.set(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + HEADER_BYTES, at + length));
    at += (length + 3) & ~3;
  }
  return attributes;
}

/** One attribute, padded to four bytes as the next one needs it. Throws RangeError when it is too long for one. */
export function encodeAttribute(attributeType: number, payload: Buffer): Buffer {
  const length = HEADER_BYTES + payload.length;
  if (length > MOST_BYTES) throw new RangeError(`Cannot write a netlink attribute of ${length} bytes`);
  const attribute = Buffer.alloc((length + 3) & ~3);
  attribute.writeUInt16LE(length, 0);
  attribute.writeUInt16LE(attributeType, 2);
  payload.copy(attribute, HEADER_BYTES);
  return attribute;
}

/** An attribute of text, which ends with a NUL. */
export function encodeText(attributeType: number, text: string): Buffer {
  return encodeAttribute(attributeType, Buffer.from(`${text}\0`));
}

/** The text of an attribute, without the NUL at its end. */
export function decodeText(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

/** 16 bytes of an address as the kernel wrote it; IPv4 as ::ffff:a.b.c.d. Throws RangeError for another length. */
export function decodeAddress(bytes: Buffer): Buffer {
  if (bytes.length === 16) return bytes;
  if (bytes.length === 4) return Buffer.concat([V4_MAPPED, bytes]);
  throw new RangeError(`Cannot read an address of ${bytes.length} bytes: 4 or 16`);
}

const V4_MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
