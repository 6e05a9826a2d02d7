import { constants } from 'node:os';
import { SystemError } from '../errors.ts';
import { errnoName } from './errno.ts';
import { Fd } from './fd.ts';
import { readInterface } from './ifindex.ts';
import { Readiness } from './readiness.ts';
import { lastErrno, libc } from './symbols.ts';

/** An end of a UDP flow: 16 bytes, IPv4 as ::ffff:a.b.c.d. `scope` is the interface of a link-local address. */
export interface UdpEnd {
  readonly addr16: Uint8Array;
  readonly port: number;
  readonly scope?: string;
}

/** What is told of a socket: a datagram, or that nothing more comes (ECONNREFUSED, EHOSTUNREACH …). */
export type UdpEvent =
  | { readonly kind: 'datagram'; readonly bytes: Buffer }
  | { readonly kind: 'failed'; readonly errno: string };

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0o2000000 | 0o4000;
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;
const DATAGRAM_BYTES = 1 << 16;
const DATAGRAMS_PER_TURN = 16;
const { EAGAIN, EINTR } = constants.errno;

/** Owns a connected UDP socket: only datagrams of the other end come in. `node:dgram` would cost 3 MB and 5 ms. */
export class UdpSocket implements Disposable {
  readonly #fd: Fd;
  readonly #onEvent: (event: UdpEvent) => void;
  readonly local: UdpEnd;
  #readiness: Readiness | undefined;

  /** Use `connectUdp`. Takes ownership of `fd`. */
  constructor(fd: Fd, local: UdpEnd, onEvent: (event: UdpEvent) => void) {
    this.#fd = fd;
    this.local = local;
    this.#onEvent = onEvent;
    this.#readiness = new Readiness(fd.number, () => this.#receive());
  }

  /** Sends one datagram; what can't be sent is lost, as on the way. */
  send(bytes: Uint8Array): void {
    libc.sendto(this.#fd.number, bytes, bytes.length, 0, null, 0);
  }

  /** Idempotent; no event comes after it. */
  close(): void {
    this.#readiness?.close();
    this.#readiness = undefined;
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #receive(): void {
    // The handler may close the socket.
    for (let i = 0; i < DATAGRAMS_PER_TURN && this.#readiness !== undefined; i++) {
      const bytes = Buffer.allocUnsafe(DATAGRAM_BYTES);
      const length = libc.recvfrom(this.#fd.number, bytes, bytes.length, 0, null, null);
      if (length >= 0) {
        this.#onEvent({ kind: 'datagram', bytes: Buffer.from(bytes.subarray(0, length)) });
        continue;
      }
      const errno = lastErrno();
      if (errno === EAGAIN) return;
      if (errno !== EINTR) this.#onEvent({ kind: 'failed', errno: errnoName(errno) });
    }
  }
}

/** Opens a socket to `remote`, in this thread's network namespace. Throws SystemError (ENETUNREACH, EPERM, ENODEV …). */
export function connectUdp(remote: UdpEnd, onEvent: (event: UdpEvent) => void): UdpSocket {
  const address = encodeEnd(remote);
  const operation = 'open a UDP socket to a resolver';
  const family = address.readUInt16LE(0);
  const fd = new Fd(checkedCall(libc.socket(family, SOCK_DGRAM_CLOEXEC_NONBLOCK, 0), operation));
  try {
    checkedCall(libc.connect(fd.number, address, address.length), operation);
    OWN_LENGTH[0] = OWN_END.length;
    checkedCall(libc.getsockname(fd.number, OWN_END, new Uint8Array(OWN_LENGTH.buffer)), operation);
    return new UdpSocket(fd, decodeEnd(OWN_END), onEvent);
  } catch (thrown) {
    fd.close();
    throw thrown;
  }
}

/* EPERM, too, is about the way here (a cgroup program, nftables), not about our privilege. */
function checkedCall(answer: number, operation: string): number {
  if (answer < 0) throw new SystemError(operation, errnoName(lastErrno()));
  return answer;
}

/* Where getsockname(2) writes, one call after the other. */
const OWN_END = Buffer.alloc(SOCKADDR_IN6_BYTES);
const OWN_LENGTH = new Uint32Array(1);

const V4_MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/* struct sockaddr_in and sockaddr_in6, ip(7) and ipv6(7). */
function encodeEnd({ addr16, port, scope }: UdpEnd): Buffer {
  if (V4_MAPPED.equals(addr16.subarray(0, 12))) {
    const bytes = Buffer.alloc(SOCKADDR_IN_BYTES);
    bytes.writeUInt16LE(AF_INET, 0);
    bytes.writeUInt16BE(port, 2);
    bytes.set(addr16.subarray(12), 4);
    return bytes;
  }
  const bytes = Buffer.alloc(SOCKADDR_IN6_BYTES);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(addr16, 8);
  if (scope !== undefined) bytes.writeUInt32LE(scopeId(scope), 24);
  return bytes;
}

function decodeEnd(bytes: Buffer): UdpEnd {
  const port = bytes.readUInt16BE(2);
  if (bytes.readUInt16LE(0) === AF_INET) {
    return { addr16: Buffer.concat([V4_MAPPED, bytes.subarray(4, 8)]), port };
  }
  return { addr16: Buffer.from(bytes.subarray(8, 24)), port };
}

function scopeId(scope: string): number {
  const ifindex = /^\d+$/u.test(scope) ? Number(scope) : readInterface(scope)?.ifindex;
  if (ifindex === undefined) throw new SystemError(`find interface "${scope}" of a resolver`, 'ENODEV');
  return ifindex;
}
