import { readdirSync, readlinkSync } from 'node:fs';
import { Fd } from './fd.ts';
import { libc } from './symbols.ts';

/* The same numbers on every architecture. */
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;
const SOL_SOCKET = 1;
const SO_DOMAIN = 39;
const SO_NETNS_COOKIE = 71;
const AF_INET = 2;
const AF_INET6 = 10;

/** A socket of another process, borrowed. */
export interface OtherSocket {
  readonly fd: number;
  readonly netnsCookie: bigint;
}

/**
 * Calls `visit` with each IPv4 and IPv6 socket that a process has open, as long as the call lasts. A process that is
 * gone, or that we may not look into, has none.
 */
export function visitSockets(pid: number, visit: (socket: OtherSocket) => void): void {
  using process = descriptor(libc.syscall(PIDFD_OPEN, pid, 0, 0));
  if (!process) return;
  for (const number of socketsOf(pid)) {
    using socket = descriptor(libc.syscall(PIDFD_GETFD, process.number, number, 0));
    if (!socket) continue;
    const family = readOption(socket.number, SO_DOMAIN, 4)?.readInt32LE();
    if (family !== AF_INET && family !== AF_INET6) continue;
    const cookie = readOption(socket.number, SO_NETNS_COOKIE, 8);
    if (cookie) visit({ fd: socket.number, netnsCookie: cookie.readBigUInt64LE() });
  }
}

function descriptor(answer: number): Fd | undefined {
  return answer < 0 ? undefined : new Fd(answer);
}

function socketsOf(pid: number): number[] {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory)
      .filter((name) => isSocket(`${directory}/${name}`))
      .map(Number);
  } catch {
    return []; // it has ended
  }
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:');
  } catch {
    return false; // closed meanwhile
  }
}

function readOption(fd: number, option: number, bytes: number): Buffer | undefined {
  const value = Buffer.alloc(bytes);
  const length = Buffer.from([bytes, 0, 0, 0]);
  return libc.getsockopt(fd, SOL_SOCKET, option, value, length) < 0 ? undefined : value;
}
