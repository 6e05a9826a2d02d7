import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Answer } from '../control/server.ts';

/** Characters that are sent in one piece. */
const PIECE = 1 << 16;
/** How long lines are made before others get a turn. */
const TURN_MS = 5;

/** Sends many lines of JSON as fast as their reader takes them, made one by one, so that no more than a piece waits. */
export class LineSender {
  readonly #answer: Answer;
  readonly #readerLimitMs: number;
  readonly #closed: Promise<'closed'>;
  #isClosed = false;
  #sent = 0;

  /** @param readerLimitMs how long the reader may take no more before it gets no more */
  constructor(answer: Answer, readerLimitMs: number) {
    this.#answer = answer;
    this.#readerLimitMs = readerLimitMs;
    this.#closed = new Promise((resolve) => {
      answer.onceClosed(() => {
        this.#isClosed = true;
        resolve('closed');
      });
    });
  }

  /** Lines sent until now. */
  get sent(): number {
    return this.#sent;
  }

  /**
   * Sends a line for each value; `undefined` is none, only a moment at which others can have a turn. Answers whether all
   * were sent: not where the connection is closed, or the reader has stopped.
   */
  async sendAll(values: Iterable<object | undefined>): Promise<boolean> {
    let text = '';
    let turnEndsMs = performance.now() + TURN_MS;
    for (const value of values) {
      if (value) {
        text += `${JSON.stringify(value)}\n`;
        this.#sent += 1;
      }
      const isOver = performance.now() >= turnEndsMs;
      if (text.length < PIECE && !isOver) continue;
      const keepsUp = this.#answer.send(text);
      text = '';
      if (!keepsUp && !(await this.#ready())) return false;
      if (isOver) await nextTurn();
      if (this.#isClosed) return false;
      if (isOver || !keepsUp) turnEndsMs = performance.now() + TURN_MS;
    }
    return this.#answer.send(text) || this.#ready();
  }

  /** Waits until the connection is closed, at most so long. */
  async onceClosed(limitMs: number): Promise<void> {
    await this.#within(limitMs, this.#closed);
  }

  /* Answers whether the reader has caught up. */
  async #ready(): Promise<boolean> {
    const ready = new Promise<'ready'>((resolve) => this.#answer.onceReady(() => resolve('ready')));
    return (await this.#within(this.#readerLimitMs, Promise.race([ready, this.#closed]))) === 'ready';
  }

  async #within<Value>(limitMs: number, value: Promise<Value>): Promise<Value | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), limitMs);
    });
    try {
      return await Promise.race([value, limit]);
    } finally {
      clearTimeout(timer);
    }
  }
}
