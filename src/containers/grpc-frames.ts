const HEADER_BYTES = 5;

/**
 * Takes the bytes of a gRPC stream as they come and gives its messages: one byte that says whether it is compressed,
 * four bytes of length, big endian, and the message (gRPC over HTTP/2, "Length-Prefixed-Message").
 */
export class GrpcFrames {
  readonly #limitBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #buffered = 0;
  #wanted = HEADER_BYTES;
  #inMessage = false;

  /** @param limitBytes how long a message may be */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Whether nothing of a message that is not whole is held. */
  get isEmpty(): boolean {
    return this.#buffered === 0 && !this.#inMessage;
  }

  /** The messages that are whole with `chunk`. Throws RangeError for one that is too long or compressed. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    const messages: Uint8Array[] = [];
    while (this.#buffered >= this.#wanted) {
      const bytes = this.#take(this.#wanted);
      if (this.#inMessage) {
        messages.push(bytes);
        this.#wanted = HEADER_BYTES;
      } else {
        this.#wanted = this.#messageLength(bytes);
      }
      this.#inMessage = !this.#inMessage;
    }
    return messages;
  }

  /* Before anything of the message is kept: a length is four bytes, what it promises can be 4 GiB. */
  #messageLength(header: Uint8Array): number {
    const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
    if (view.getUint8(0) !== 0) throw new RangeError('a compressed message, which was not asked for');
    const length = view.getUint32(1);
    if (length <= this.#limitBytes) return length;
    throw new RangeError(`a message of ${length} bytes: ${this.#limitBytes} are legal`);
  }

  #take(length: number): Uint8Array {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    if (all === undefined) return new Uint8Array(0);
    if (all.length > length) this.#chunks.push(all.subarray(length));
    this.#buffered -= length;
    return all.subarray(0, length);
  }
}

/** The bytes of one message with its header. */
export function encodeGrpcFrame(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, HEADER_BYTES);
  return frame;
}
