import { constants } from 'node:os';
import { checkedErrno, failure } from './errno.ts';
import { Fd } from './fd.ts';
import { lastErrno, libc } from './symbols.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const MSG_TRUNC = 0x20;
const SOCKADDR_BYTES = 12;
/* The kernel makes the datagrams of a dump no larger than what is read, up to 32 KiB. */
const DATAGRAM_BYTES = 1 << 16;
const ANSWER_SECONDS = 5;

/**
 * Sends one request to the kernel on a netlink `protocol`, in this thread's network namespace, and hands
 * each datagram of the answer to `isLast` until that says so. The bytes are the handler's to keep.
 * Waits in the call: the kernel answers a dump as it is read. Throws SystemError (EPROTONOSUPPORT: no such
 * protocol, EAGAIN: no answer, EMSGSIZE).
 */
export function requestNetlink(
  protocol: number,
  request: Buffer,
  isLast: (datagram: Buffer) => boolean,
): void {
  const operation = `ask the kernel by netlink protocol ${protocol}`;
  using socket = new Fd(checkedErrno(libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol), operation));
  const limit = Buffer.alloc(16); // struct timeval
  limit.writeBigInt64LE(BigInt(ANSWER_SECONDS));
  checkedErrno(libc.setsockopt(socket.number, SOL_SOCKET, SO_RCVTIMEO, limit, limit.length), operation);
  const kernel = Buffer.alloc(SOCKADDR_BYTES); // struct sockaddr_nl; port 0 is the kernel
  kernel.writeUInt16LE(AF_NETLINK);
  checkedErrno(libc.sendto(socket.number, request, request.length, 0, kernel, kernel.length), operation);
  const bytes = Buffer.alloc(DATAGRAM_BYTES);
  const sender = Buffer.alloc(SOCKADDR_BYTES);
  const senderLength = Buffer.alloc(4);
  for (;;) {
    senderLength.writeUInt32LE(SOCKADDR_BYTES);
    const length = libc.recvfrom(socket.number, bytes, bytes.length, MSG_TRUNC, sender, senderLength);
    if (length < 0) {
      const errno = lastErrno();
      if (errno === constants.errno.EINTR) continue;
      throw failure(errno, operation);
    }
    if (length > bytes.length) throw failure(constants.errno.EMSGSIZE, operation);
    if (sender.readUInt32LE(4) === 0 && isLast(Buffer.from(bytes.subarray(0, length)))) return;
  }
}
