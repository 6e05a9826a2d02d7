import { openSync } from 'node:fs';
import { constants } from 'node:os';
import { failure } from './errno.ts';
import { Fd } from './fd.ts';
import { lastErrno, libc } from './symbols.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Takes the lock on the directory at `path`, which has to be there; `undefined` when another process holds it.
 * The lock ends with the descriptor or the process. Throws Error with a code, SystemError.
 */
export function lockDirectory(path: string): Fd | undefined {
  const fd = new Fd(openSync(path, 'r'));
  if (libc.flock(fd.number, LOCK_EX | LOCK_NB) >= 0) return fd;
  const errno = lastErrno();
  fd.close();
  if (errno === constants.errno.EWOULDBLOCK) return undefined;
  throw failure(errno, `lock "${path}"`);
}
