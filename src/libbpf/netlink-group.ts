import { constants } from 'node:os';
import { checkedErrno, failure } from './errno.ts';
import { Fd } from './fd.ts';
import { Readiness } from './readiness.ts';
import { lastErrno, libc } from './symbols.ts';

/** What a subscriber is told. `lost`: the kernel dropped messages because they came faster than they were read. */
export type NetlinkEvent = { readonly kind: 'datagram'; readonly bytes: Buffer } | { readonly kind: 'lost' };

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0o2000000 | 0o4000;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const MSG_TRUNC = 0x20;
const SOCKADDR_BYTES = 12;
const DEFAULT_RECEIVE_BYTES = 1 << 20;
const DATAGRAM_BYTES = 1 << 16;
const DATAGRAMS_PER_TURN = 64;
const { EAGAIN, ENOBUFS, EINTR } = constants.errno;

/** Owns a subscription to a multicast group of a netlink protocol. */
export class NetlinkGroup implements Disposable {
  readonly #fd: Fd;
  readonly #onEvent: (event: NetlinkEvent) => void;
  readonly #bytes = Buffer.alloc(DATAGRAM_BYTES);
  #readiness: Readiness | undefined;

  /** Use `openNetlinkGroup`. Takes ownership of `fd`. */
  constructor(fd: Fd, onEvent: (event: NetlinkEvent) => void) {
    this.#fd = fd;
    this.#onEvent = onEvent;
    this.#readiness = new Readiness(fd.number, () => this.#receive());
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
    const sender = Buffer.alloc(SOCKADDR_BYTES);
    const senderLength = Buffer.alloc(4);
    // The handler may close the group.
    for (let i = 0; i < DATAGRAMS_PER_TURN && this.#readiness !== undefined; i++) {
      senderLength.writeUInt32LE(SOCKADDR_BYTES);
      const fd = this.#fd.number;
      const length = libc.recvfrom(fd, this.#bytes, DATAGRAM_BYTES, MSG_TRUNC, sender, senderLength);
      const errno = length < 0 ? lastErrno() : 0;
      if (errno === EAGAIN) return;
      if (errno === EINTR) continue;
      if (errno !== 0 && errno !== ENOBUFS) throw failure(errno, 'receive netlink events');
      if (errno === ENOBUFS || length > DATAGRAM_BYTES) {
        this.#onEvent({ kind: 'lost' });
        continue;
      }
      // Port 0 is the kernel; another process may send to the group with CAP_NET_ADMIN.
      if (sender.readUInt32LE(4) !== 0) continue;
      this.#onEvent({ kind: 'datagram', bytes: Buffer.from(this.#bytes.subarray(0, length)) });
    }
  }
}

/**
 * Subscribes to `group` of netlink `protocol` in this thread's network namespace.
 * `receiveBytes` bounds what may wait to be read. Throws SystemError, UnsupportedError without CAP_NET_ADMIN.
 */
export function openNetlinkGroup(
  protocol: number,
  group: number,
  onEvent: (event: NetlinkEvent) => void,
  options: { readonly receiveBytes?: number } = {},
): NetlinkGroup {
  const operation = `subscribe to group ${group} of netlink protocol ${protocol}`;
  const fd = new Fd(checkedErrno(libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC_NONBLOCK, protocol), operation));
  try {
    const address = Buffer.alloc(SOCKADDR_BYTES); // struct sockaddr_nl; port 0: the kernel chooses
    address.writeUInt16LE(AF_NETLINK, 0);
    checkedErrno(libc.bind(fd.number, address, address.length), operation);
    setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, options.receiveBytes ?? DEFAULT_RECEIVE_BYTES, operation);
    setOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group, operation);
    return new NetlinkGroup(fd, onEvent);
  } catch (thrown) {
    fd.close();
    throw thrown;
  }
}

function setOption(fd: Fd, level: number, option: number, value: number, operation: string): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  checkedErrno(libc.setsockopt(fd.number, level, option, bytes, bytes.length), operation);
}
