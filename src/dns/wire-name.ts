import { UsageError } from '../errors.ts';

/** Why bytes are not a name; a closed list. */
export type NameFault = 'name-past-end' | 'name-label' | 'name-pointer' | 'name-length' | 'name-byte';

/**
 * What `readName` found. `name` is the text form, `end` the offset behind the name in its own place,
 * `wireBytes` its length without compression, root label included.
 */
export type NameReading =
  | { readonly status: 'read'; readonly name: string; readonly end: number; readonly wireBytes: number }
  | { readonly status: 'refused'; readonly reason: NameFault };

const MAX_LABEL = 63;
const MAX_NAME = 255;
const HEADER_BYTES = 12;
const POINTER = 0xc0;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

/** Text of each label byte: lower case, what could be misread as \DDD. */
const TEXT_OF_BYTE = Array.from({ length: 256 }, (_, byte) => {
  const isPlain = byte > 0x20 && byte < 0x7f && byte !== DOT && byte !== BACKSLASH;
  return isPlain ? String.fromCharCode(byte).toLowerCase() : `\\${String(byte).padStart(3, '0')}`;
});

/**
 * Reads a name of a DNS message (RFC 1035 4.1.4) at `offset`, stricter than the RFC: a pointer goes to
 * the header never and only to before the start of the segment it ends, so no name is read twice and
 * the first name of a message has none. A label with a dot or a NUL inside is a fault: as text it
 * could pass for another suffix. The text form is lower case, without a final dot; `.` is the root.
 */
export function readName(bytes: Uint8Array, offset: number): NameReading {
  const labels: string[] = [];
  let at = offset;
  let segmentStart = offset;
  let end: number | undefined;
  let wireBytes = 0;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return refused('name-past-end');
    if (length >= POINTER) {
      const low = bytes[at + 1];
      if (low === undefined) return refused('name-past-end');
      const target = ((length & 0x3f) << 8) | low;
      if (target < HEADER_BYTES || target >= segmentStart) return refused('name-pointer');
      end ??= at + 2;
      at = target;
      segmentStart = target;
      continue;
    }
    if (length > MAX_LABEL) return refused('name-label');
    wireBytes += length + 1;
    if (wireBytes > MAX_NAME) return refused('name-length');
    at += 1;
    if (length === 0) break;
    let label = '';
    for (const labelEnd = at + length; at < labelEnd; at += 1) {
      const byte = bytes[at];
      if (byte === undefined) return refused('name-past-end');
      if (byte === DOT || byte === 0) return refused('name-byte');
      label += TEXT_OF_BYTE[byte];
    }
    labels.push(label);
  }
  return { status: 'read', name: labels.join('.') || '.', end: end ?? at, wireBytes };
}

/** The text form of an uncompressed wire-form name that fills `wire`; undefined when it is none. */
export function decodeName(wire: Uint8Array): string | undefined {
  const reading = readName(wire, 0);
  return reading.status === 'read' && reading.wireBytes === wire.length ? reading.name : undefined;
}

/**
 * The uncompressed wire form, lower case, of a name as text. One final dot is ignored, `\DDD` stands
 * for a byte. Throws UsageError for what `readName` would refuse, and for bytes outside ASCII.
 */
export function encodeName(text: string): Uint8Array<ArrayBuffer> {
  if (text === '.') return Uint8Array.of(0);
  const wire: number[] = [];
  for (const label of text.replace(/\.$/, '').split('.')) {
    const bytes = encodeLabel(label, text);
    wire.push(bytes.length, ...bytes);
  }
  wire.push(0);
  if (wire.length > MAX_NAME) {
    throw new UsageError(`name "${text}" is too long: at most 253 characters are legal`);
  }
  return Uint8Array.from(wire);
}

function encodeLabel(label: string, text: string): number[] {
  const bytes: number[] = [];
  for (const [piece] of label.matchAll(/\\\d{3}|[\s\S]/gu)) {
    const byte = piece.length === 4 ? Number(piece.slice(1)) : (piece.codePointAt(0) ?? 0);
    if (byte === DOT || byte === 0 || byte > 255 || (piece.length !== 4 && !isGraphic(byte))) {
      throw new UsageError(
        `name "${text}" has ${JSON.stringify(piece)} in a label: printable ASCII but "\\" is legal, other bytes as \\001 to \\255, no dot`,
      );
    }
    bytes.push(byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte);
  }
  if (bytes.length === 0 || bytes.length > MAX_LABEL) {
    throw new UsageError(`name "${text}" has a label of ${bytes.length} characters: 1 to 63 are legal`);
  }
  return bytes;
}

function isGraphic(byte: number): boolean {
  return byte > 0x20 && byte < 0x7f && byte !== BACKSLASH;
}

function refused(reason: NameFault): NameReading {
  return { status: 'refused', reason };
}
