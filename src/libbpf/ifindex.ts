import { constants } from 'node:os';
import { failure } from './errno.ts';
import { openSocket } from './setns.ts';
import { lastErrno, libc } from './symbols.ts';

/** A network interface as its ioctls tell; `arphrd` is its kind of hardware (1 Ethernet, 772 loopback). */
export interface Interface {
  readonly ifindex: number;
  readonly arphrd: number;
  readonly up: boolean;
}

const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;
const SIOCGIFNAME = 0x8910;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const IFF_UP = 1;

/**
 * The interface `name` of this thread's network namespace, `undefined` when there is none.
 * (/sys/class/net shows the namespace in which /sys was mounted.) Throws SystemError.
 */
export function readInterface(name: string): Interface | undefined {
  const nameBytes = Buffer.from(name);
  if (nameBytes.length === 0 || nameBytes.length >= IFNAMSIZ || nameBytes.includes(0)) return undefined;
  using socket = openSocket();
  const request = Buffer.alloc(IFREQ_BYTES); // struct ifreq: name, then a union at 16
  nameBytes.copy(request);
  const ask = (question: number) => {
    if (libc.ioctl(socket.number, question, request) >= 0) return true;
    const errno = lastErrno();
    if (errno === constants.errno.ENODEV) return false;
    throw failure(errno, `read interface "${name}"`);
  };
  if (!ask(SIOCGIFINDEX)) return undefined;
  const ifindex = request.readInt32LE(IFNAMSIZ);
  if (!ask(SIOCGIFHWADDR)) return undefined;
  const arphrd = request.readUInt16LE(IFNAMSIZ);
  if (!ask(SIOCGIFFLAGS)) return undefined;
  return { ifindex, arphrd, up: (request.readUInt16LE(IFNAMSIZ) & IFF_UP) !== 0 };
}

/** The name of an interface of this thread's network namespace, `undefined` when there is none. Throws SystemError. */
export function readInterfaceName(ifindex: number): string | undefined {
  using socket = openSocket();
  const request = Buffer.alloc(IFREQ_BYTES);
  request.writeInt32LE(ifindex, IFNAMSIZ);
  if (libc.ioctl(socket.number, SIOCGIFNAME, request) < 0) return undefined;
  return request.toString('latin1', 0, request.indexOf(0));
}
