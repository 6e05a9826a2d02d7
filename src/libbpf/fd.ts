import { closeSync } from 'node:fs';
import { checkedErrno } from './errno.ts';
import { libc } from './symbols.ts';

const F_DUPFD_CLOEXEC = 1030;

/** Owns a file descriptor. */
export class Fd implements Disposable {
  #fd: number;

  /** Takes ownership of `fd`. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Throws when it was closed: the number may be another file's by now. */
  get number(): number {
    if (this.#fd < 0) throw new Error('Cannot use a file descriptor: it was closed');
    return this.#fd;
  }

  /** Idempotent. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    closeSync(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A second descriptor of what `fd` names, closed on exec. Throws SystemError. */
export function duplicate(fd: number): Fd {
  return new Fd(checkedErrno(libc.dup(fd, F_DUPFD_CLOEXEC, 3), `duplicate file descriptor ${fd}`));
}
