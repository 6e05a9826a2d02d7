import { closeSync, openSync } from 'node:fs';
import { checkedErrno } from './errno.ts';
import { Fd } from './fd.ts';
import { libc } from './symbols.ts';

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;

/**
 * Moves the calling thread into the network namespace at `path` (a file such as /run/netns/NAME).
 * Threads that libuv or koffi already started stay where they are; threads started later follow.
 * Throws Error with a code when the file can't be opened, SystemError (EINVAL: no network namespace), UnsupportedError.
 */
export function enterNetns(path: string): void {
  const fd = openSync(path, 'r');
  try {
    checkedErrno(libc.setns(fd, CLONE_NEWNET), `enter network namespace "${path}"`, 'CAP_SYS_ADMIN, or root');
  } finally {
    closeSync(fd);
  }
}

/** The number that names this thread's network namespace since boot, never reused (Linux 5.14). Throws SystemError. */
export function netnsCookie(): bigint {
  using socket = openSocket();
  const cookie = Buffer.alloc(8);
  const length = Buffer.from([8, 0, 0, 0]);
  const answer = libc.getsockopt(socket.number, SOL_SOCKET, SO_NETNS_COOKIE, cookie, length);
  checkedErrno(answer, 'read the cookie of the network namespace');
  return cookie.readBigUInt64LE();
}

/** A datagram socket in this thread's network namespace, to ask the kernel through. Throws SystemError. */
export function openSocket(): Fd {
  return new Fd(checkedErrno(libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0), 'open a socket'));
}
