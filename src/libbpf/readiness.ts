import { type PollHandle, pollReadable } from './symbols.ts';

/* The collector closes a poll handle that nobody holds, without a word. */
const open = new Set<Readiness>();

/**
 * Calls back whenever a descriptor is readable, in a turn of its own, until it is closed.
 * Keeps the event loop alive. To be closed before the descriptor: libuv aborts the process on one that went away.
 */
export class Readiness implements Disposable {
  readonly #fd: number;
  readonly #onReady: (failed: boolean) => void;
  #handle: PollHandle | undefined;

  /** @param onReady told whether the descriptor reported an error, which the next read of it tells */
  constructor(fd: number, onReady: (failed: boolean) => void) {
    this.#fd = fd;
    this.#onReady = onReady;
    this.#watch();
    open.add(this);
  }

  /** Idempotent; no call comes after it. */
  close(): void {
    open.delete(this);
    this.#handle?.close();
    this.#handle = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #watch(): void {
    this.#handle = pollReadable(this.#fd, (status) => {
      // koffi calls without a callback scope: what is thrown or queued here is lost, so go through the event loop.
      setImmediate(() => this.#tell(status < 0));
    });
  }

  #tell(failed: boolean): void {
    if (this.#handle === undefined) return;
    // libuv stops watching a descriptor that reported an error (EPOLLERR).
    if (failed) this.#handle.close();
    try {
      this.#onReady(failed);
    } finally {
      if (failed && this.#handle !== undefined) this.#watch();
    }
  }
}
