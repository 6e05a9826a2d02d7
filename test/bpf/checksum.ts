/** The Internet checksum (RFC 1071) of `parts` laid end to end; each but the last has an even length. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** The pseudo header of TCP, UDP and ICMPv6; addresses of 4 (RFC 9293 3.1) or 16 bytes (RFC 8200 8.1). */
export function pseudoHeader(
  source: Uint8Array,
  destination: Uint8Array,
  l4Proto: number,
  l4Bytes: number,
): Uint8Array {
  const tail = source.length === 4 ? Buffer.alloc(4) : Buffer.alloc(8);
  if (source.length === 4) {
    tail.writeUInt8(l4Proto, 1);
    tail.writeUInt16BE(l4Bytes, 2);
  } else {
    tail.writeUInt32BE(l4Bytes, 0);
    tail.writeUInt8(l4Proto, 7);
  }
  return Buffer.concat([source, destination, tail]);
}
