import { isIPv4 } from 'node:net';
import { constants } from 'node:os';
import { Fd } from '../../src/libbpf/fd.ts';
import { lastErrno, libc } from '../../src/libbpf/symbols.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOL_SOCKET = 1;
const SO_PRIORITY = 12;
const MSG_DONTWAIT = 0x40;
const TICK_MS = 5;
const PAYLOAD_BYTES = 1400;
const UDP_HEADER_BYTES = 8;
const ETHERNET_HEADER_BYTES = 14;

/** Where datagrams go, and the skb->priority they have. */
export interface DatagramOptions {
  readonly port: number;
  readonly priority?: number;
}

/** A UDP socket of this process, whose priority can be set; node's can't. */
export class Datagrams implements Disposable {
  readonly #fd: Fd;
  readonly #address: Buffer;
  readonly #overhead: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(address: string, options: DatagramOptions) {
    const isV4 = isIPv4(address);
    this.#fd = new Fd(libc.socket(isV4 ? AF_INET : AF_INET6, SOCK_DGRAM_CLOEXEC, 0));
    this.#address = isV4 ? encodeV4(address, options.port) : encodeV6(address, options.port);
    this.#overhead = ETHERNET_HEADER_BYTES + (isV4 ? 20 : 40) + UDP_HEADER_BYTES;
    const priority = Buffer.alloc(4);
    priority.writeUInt32LE(options.priority ?? 0);
    if (libc.setsockopt(this.#fd.number, SOL_SOCKET, SO_PRIORITY, priority, priority.length) < 0) {
      throw new Error('Cannot set SO_PRIORITY');
    }
  }

  /** Sends one datagram; false when the socket's buffer is full. */
  send(payloadBytes = PAYLOAD_BYTES): boolean {
    const payload = Buffer.alloc(payloadBytes);
    const address = this.#address;
    const sent = libc.sendto(this.#fd.number, payload, payloadBytes, MSG_DONTWAIT, address, address.length);
    if (sent >= 0) return true;
    const errno = lastErrno();
    if (errno === constants.errno.EAGAIN || errno === constants.errno.ECONNREFUSED) return false;
    throw new Error(`Cannot send a datagram: errno ${errno}`);
  }

  /** Sends that many bits of frames a second, or as many as the socket's buffer takes, until it is closed. */
  flood(bitsPerSecond: number): void {
    const started = performance.now();
    let tried = 0;
    this.#timer = setInterval(() => {
      const due = ((performance.now() - started) / 1000) * (bitsPerSecond / 8);
      for (; tried < due; tried += PAYLOAD_BYTES + this.#overhead) this.send();
    }, TICK_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#fd.close();
  }
}

/* struct sockaddr_in */
function encodeV4(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET);
  bytes.writeUInt16BE(port, 2);
  Buffer.from(address.split('.').map(Number)).copy(bytes, 4);
  return bytes;
}

/* struct sockaddr_in6, of an address such as 2001:db8:7::2 */
function encodeV6(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(AF_INET6);
  bytes.writeUInt16BE(port, 2);
  const [front = '', back = ''] = address.split('::');
  const words = (text: string) => text.split(':').map((word) => Number.parseInt(word, 16));
  words(front).forEach((word, index) => void bytes.writeUInt16BE(word, 8 + index * 2));
  const last = words(back);
  last.forEach((word, index) => void bytes.writeUInt16BE(word, 24 - (last.length - index) * 2));
  return bytes;
}
