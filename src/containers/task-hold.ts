import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/* What the processes of runc, youki and crun are called that wait to become the container's program. */
const INIT_NAMES = /^(?:runc|youki):\[|^crun$/u;
const POLL_MS = 1;
const LONGEST_WAIT_MS = 100;

/**
 * Stops the process of a container that was created, so that its program can't begin while it is looked at; closing it
 * lets it go on. A process that is the container's program already is left alone. Whoever is killed in between leaves
 * a container that does not start: the next hold of it lets it go.
 */
export class TaskHold implements Disposable {
  readonly #pid: number;
  #isStopped: boolean;

  constructor(pid: number) {
    this.#pid = pid;
    this.#isStopped = isInit(pid) && signal(pid, 'SIGSTOP');
  }

  /** Resolves with whether it stands still, and nothing of the container's program ran. */
  async isCertain(): Promise<boolean> {
    for (let waited = 0; waited < LONGEST_WAIT_MS; waited += POLL_MS) {
      // In this order: what stands still does not become the program between two looks.
      if (!this.#isStopped || isAllStopped(this.#pid)) return this.#isStopped && isInit(this.#pid);
      await pause(POLL_MS);
    }
    return false;
  }

  /** Idempotent. */
  close(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    signal(this.#pid, 'SIGCONT');
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function isInit(pid: number): boolean {
  return INIT_NAMES.test(read(`/proc/${pid}/comm`).trim());
}

function isAllStopped(pid: number): boolean {
  const threads = list(`/proc/${pid}/task`);
  return threads.every((thread) => {
    const stat = read(`/proc/${pid}/task/${thread}/stat`);
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  });
}

function signal(pid: number, name: 'SIGSTOP' | 'SIGCONT'): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false; // it ended, or is not ours to signal: it is not held
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it ended
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
