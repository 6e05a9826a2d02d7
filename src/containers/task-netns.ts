import { closeSync, fstatSync, openSync } from 'node:fs';
import { SystemError, UnsupportedError } from '../errors.ts';

/** Owns a hold on the network namespace of a process; it outlives the process. */
export class TaskNetns implements Disposable {
  /** The number that names it in /proc. The kernel gives it to another one only after this is closed. */
  readonly inode: number;
  #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
    this.inode = fstatSync(fd).ino;
  }

  /** What `enterNetns` takes, in this process, until this is closed. */
  get path(): string {
    if (this.#fd < 0) throw new Error('Cannot use a network namespace: it was closed');
    return `/proc/self/fd/${this.#fd}`;
  }

  /** Idempotent. */
  close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The network namespace of a process that runs. Throws SystemError: ESRCH when it is gone; UnsupportedError. */
export function netnsOfPid(pid: number): TaskNetns {
  try {
    return new TaskNetns(openSync(`/proc/${pid}/ns/net`, 'r'));
  } catch (cause) {
    const isGone = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    const code = isGone ? 'ESRCH' : cause instanceof Error && 'code' in cause ? `${cause.code}` : 'EIO';
    if (code === 'EACCES')
      throw new UnsupportedError(
        `Cannot open the network namespace of process ${pid}: not permitted, this needs CAP_SYS_PTRACE, or root`,
      );
    throw new SystemError(`open the network namespace of process ${pid}`, code, { cause });
  }
}
