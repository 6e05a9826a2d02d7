/** One netlink message without its header. */
export interface Message {
  readonly messageType: number;
  /** NLM_F_*. */
  readonly flags: number;
  readonly payload: Buffer;
}

const HEADER_BYTES = 16;

/** Reads the messages of a datagram, struct nlmsghdr. Throws RangeError when a length runs past the end. */
export function decodeMessages(datagram: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at + HEADER_BYTES <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < HEADER_BYTES || at + length > datagram.length) {
      throw new RangeError(
        `Cannot read a netlink message of ${length} bytes: ${datagram.length - at} are left`,
      );
    }
    const payload = datagram.subarray(at + HEADER_BYTES, at + length);
    messages.push({
      messageType: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      payload,
    });
    at += (length + 3) & ~3;
  }
  return messages;
}

/** A datagram with one message. */
export function encodeMessage(messageType: number, flags: number, payload: Buffer): Buffer {
  const datagram = Buffer.alloc(HEADER_BYTES + payload.length);
  datagram.writeUInt32LE(datagram.length);
  datagram.writeUInt16LE(messageType, 4);
  datagram.writeUInt16LE(flags, 6);
  payload.copy(datagram, HEADER_BYTES);
  return datagram;
}
