import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { patient, untilSync } from './wait.ts';

/** One line that a process wrote; `atMs` is `performance.now()` of its arrival. */
export interface OutputLine {
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
  readonly atMs: number;
}

/** How a process ended: an exit code or a signal, never both. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Older lines fall out; `Process.droppedLines` counts them. */
const MAX_LINES = 50_000;
const STOP_LIMIT_MS = 5_000;

/** True once `pid` is gone or waits only to be reaped by its parent. */
export function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    // ENOENT or ESRCH: no such process any more.
    return true;
  }
}

/**
 * A long-lived program that the lab started, in a process group of its own, with both outputs read by line.
 * The kernel kills it when this process dies; `stop` or `close` ends it before that.
 */
export class Process implements Disposable {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly #title: string;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #lines: OutputLine[] = [];
  readonly #listeners = new Set<(line: OutputLine) => void>();
  #dropped = 0;
  #exit: Exit | undefined;

  /** @param argv the program and its arguments @param env its whole environment */
  constructor(argv: readonly string[], env: Readonly<Record<string, string>>, title: string) {
    this.#title = title;
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], {
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.once('error', () => {}); // told by the absent pid
    const pid = this.#child.pid;
    if (pid === undefined) throw new Error(`Cannot start "${title}": setpriv was not found`);
    this.pid = pid;
    for (const stream of ['stdout', 'stderr'] as const) {
      createInterface({ input: this.#child[stream] }).on('line', (text) =>
        this.#take({ stream, text, atMs: performance.now() }),
      );
    }
    this.exited = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /** What it wrote so far, oldest first. */
  get lines(): readonly OutputLine[] {
    return this.#lines;
  }

  /** Lines that fell out of `lines`. */
  get droppedLines(): number {
    return this.#dropped;
  }

  /** How it ended; undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** A place in the output: give it to `waitForLine` to see only what comes after. */
  mark(): number {
    return this.#dropped + this.#lines.length;
  }

  /** Calls `listener` with each line from now on; returns what takes it off again. */
  onLine(listener: (line: OutputLine) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Resolves with the first line, since start or since `after`, in which `pattern` is found.
   * Rejects with the last lines when the process ends or `limitMs` pass first.
   */
  async waitForLine(pattern: RegExp, limitMs: number, after = 0): Promise<OutputLine> {
    const present = this.#lines
      .slice(Math.max(0, after - this.#dropped))
      .find((line) => pattern.test(line.text));
    if (present !== undefined) return present;
    const over = new AbortController();
    let stopListening = () => {};
    const arrival = new Promise<OutputLine>((resolve) => {
      stopListening = this.onLine((line) => {
        if (pattern.test(line.text)) resolve(line);
      });
    });
    try {
      const line = await Promise.race([
        arrival,
        this.exited.then(() => 'it ended first'),
        pause(patient(limitMs), `not there after ${patient(limitMs)} ms`, { signal: over.signal }),
      ]);
      if (typeof line !== 'string') return line;
      throw new Error(`Cannot wait for ${pattern} from "${this.#title}": ${line}\n${this.tail()}`);
    } finally {
      stopListening();
      over.abort();
    }
  }

  /** The last lines, for an error message. */
  tail(count = 20): string {
    return this.#lines
      .slice(-count)
      .map((line) => `  ${line.stream}: ${line.text}`)
      .join('\n');
  }

  /** Sends `signal` to this one process; false when it has ended. */
  kill(signal: NodeJS.Signals): boolean {
    return this.#exit === undefined && this.#child.kill(signal);
  }

  /** SIGTERM to the process and its children, SIGKILL after `limitMs`; resolves once it has ended. Idempotent. */
  async stop(limitMs = STOP_LIMIT_MS): Promise<Exit> {
    this.#signalGroup('SIGTERM');
    const over = new AbortController();
    const late = pause(patient(limitMs), undefined, { signal: over.signal }).then(
      () => this.#signalGroup('SIGKILL'),
      () => {}, // aborted: it ended in time
    );
    const exit = await this.exited;
    over.abort();
    await late;
    return exit;
  }

  /** Ends the process and its children without giving up the thread. Idempotent. */
  close(): void {
    if (this.#exit !== undefined) return;
    this.#signalGroup('SIGTERM');
    try {
      untilSync(() => hasEnded(this.pid), { limitMs: STOP_LIMIT_MS, what: `the end of "${this.#title}"` });
    } finally {
      // Not reaped while we hold the thread, so the group id is still ours.
      this.#signalGroup('SIGKILL');
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #take(line: OutputLine): void {
    this.#lines.push(line);
    if (this.#lines.length > MAX_LINES) {
      this.#dropped += this.#lines.splice(0, MAX_LINES / 2).length;
    }
    for (const listener of this.#listeners) listener(line);
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.#exit !== undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // ESRCH: all of the group has ended, which is what was asked for.
    }
  }
}
