import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { checkedErrno, failure } from './errno.ts';
import { Fd } from './fd.ts';
import { lastErrno, libc } from './symbols.ts';

const F_GETLK = 5;
const F_SETLK = 6;
const F_WRLCK = 1;
const F_UNLCK = 2;
const FLOCK_BYTES = 32;
const { EACCES, EAGAIN } = constants.errno;

/**
 * Takes the record lock (fcntl(2)) on the file at `path`, which is made when absent; `undefined` when another
 * process holds it. The lock ends with the process, or when it closes any descriptor of that file: let one owner
 * open it. The file stays. Throws Error with a code (ENOENT: no such directory), SystemError.
 */
export function lockFile(path: string): Fd | undefined {
  for (;;) {
    const fd = new Fd(openSync(path, 'a', 0o600));
    if (libc.lock(fd.number, F_SETLK, encodeLock()) < 0) {
      const errno = lastErrno();
      fd.close();
      if (errno === EAGAIN || errno === EACCES) return undefined;
      throw failure(errno, `lock "${path}"`);
    }
    // Removed between our opening and locking it: what we hold is not what the next one finds.
    if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd.number).ino) return fd;
    fd.close();
  }
}

/**
 * The process that holds the lock on the file at `path`, as the kernel tells it, without taking the lock for a moment;
 * 0 for one of another PID namespace, `undefined` when nobody does. Throws Error with a code, SystemError.
 */
export function lockHolder(path: string): number | undefined {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  const lock = encodeLock();
  const fd = openSync(path, 'r');
  try {
    checkedErrno(libc.lock(fd, F_GETLK, lock), `read who has locked "${path}"`);
  } finally {
    closeSync(fd);
  }
  return lock.readInt16LE(0) === F_UNLCK ? undefined : lock.readInt32LE(24);
}

/* struct flock of 64-bit Linux: type, whence, start, length, pid; all zero but the type means the whole file */
function encodeLock(): Buffer {
  const lock = Buffer.alloc(FLOCK_BYTES);
  lock.writeInt16LE(F_WRLCK, 0);
  return lock;
}
