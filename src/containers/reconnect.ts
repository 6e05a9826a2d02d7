import { statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Runtime, RuntimeState } from './container.ts';

/** One connection's life: follows the runtime until the connection ends or `signal` aborts; calls `onFollowing` once all is listed. */
export type Session = (onFollowing: (runtime: Runtime) => void, signal: AbortSignal) => Promise<void>;

/** How soon a socket that is not there is looked for again; a look is one stat(2). */
const LOOK_MS = 1_000;
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 10_000;

/** Keeps a session with the daemon behind a unix socket, whether it comes later or restarts. Owns the session. */
export class Reconnecting implements Disposable {
  readonly #runtime: Runtime;
  readonly #socket: string;
  readonly #session: Session;
  readonly #onState: (state: RuntimeState) => void;
  readonly #closing = new AbortController();
  #told = '';

  /** @param runtime what a socket that tells nothing of itself is taken for @param onState called when the state is another */
  constructor(runtime: Runtime, socket: string, session: Session, onState: (state: RuntimeState) => void) {
    this.#runtime = runtime;
    this.#socket = socket;
    this.#session = session;
    this.#onState = onState;
    void this.#run();
  }

  /** Idempotent; nothing is told after it. */
  close(): void {
    this.#closing.abort();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let waitMs = FIRST_WAIT_MS;
    while (!signal.aborted) {
      const isThere = isSocket(this.#socket);
      if (isThere) {
        const wasFollowing = await this.#follow(signal);
        waitMs = wasFollowing ? FIRST_WAIT_MS : Math.min(2 * waitMs, LONGEST_WAIT_MS);
      } else {
        this.#tell({ state: 'absent', runtime: this.#runtime, socket: this.#socket });
        waitMs = FIRST_WAIT_MS;
      }
      await wait(isThere ? waitMs : LOOK_MS, signal);
    }
  }

  async #follow(signal: AbortSignal): Promise<boolean> {
    let runtime: Runtime | undefined;
    const onFollowing = (found: Runtime) => {
      runtime = found;
      this.#tell({ state: 'following', runtime, socket: this.#socket });
    };
    let reason = 'the connection ended';
    try {
      await this.#session(onFollowing, signal);
    } catch (thrown) {
      reason = thrown instanceof Error ? thrown.message : String(thrown);
    }
    this.#tell({ state: 'down', runtime: runtime ?? this.#runtime, socket: this.#socket, reason });
    return runtime !== undefined;
  }

  #tell(state: RuntimeState): void {
    const text = JSON.stringify(state);
    if (this.#closing.signal.aborted || text === this.#told) return;
    this.#told = text;
    this.#onState(state);
  }
}

/** Resolves after `ms`, or at once when `signal` aborts. */
export async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => {}); // rejects only when aborted
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch {
    return false; // not there, or not for us to see: which is the same for who would connect
  }
}
