import { escapeControl } from '../flow/escape.ts';
import type { Level } from '../flow/level.ts';
import { type LeftOut, LineLimit, type LineRate } from '../flow/line-limit.ts';
import { formatTime } from '../flow/render-text.ts';
import { levelMark, type Sink, sinkOf } from './sink.ts';

/**
 * What the journal gets of remarks, for each level. journald takes 10,000 lines in 30 s from a service and then drops
 * without a word on which: all levels of remarks and of events (`EventWriter`) together stay below that.
 */
export const REMARK_RATE: LineRate = { burst: 200, perSecond: 20 };
/** How long after the first line that is left out it is said how many were. */
export const TELL_LEFT_OUT_MS = 5_000;

/** A sentence for the owner, or some lines that belong together; without a level it is info. */
export type Remark = (text: string | readonly string[], level?: Level) => void;

/** What a writer of remarks needs; the defaults are this process's. */
export interface RemarkOptions {
  /** Stands in front of each line. */
  readonly title?: string;
  readonly sink?: Sink;
  readonly write?: (text: string) => void;
  readonly nowMs?: () => number;
}

/**
 * Writes what is for people to stderr. Each text is one line, whatever is in it: what could move or hide text, line
 * breaks too, is escaped. For the journal lines have their level in front, and are limited; in a file they
 * have the time of day, from `begin` on: nobody else adds it there.
 */
export class RemarkWriter {
  readonly #title: string;
  readonly #sink: Sink;
  readonly #write: (text: string) => void;
  readonly #nowMs: () => number;
  readonly #limit = new LineLimit(REMARK_RATE);
  #isTimed = false;
  #telling: NodeJS.Timeout | undefined;

  constructor(options: RemarkOptions = {}) {
    this.#title = options.title ?? '';
    this.#sink = options.sink ?? stderrSink();
    this.#write = options.write ?? ((text) => void process.stderr.write(text));
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** The start is told: what comes now has a time of its own. */
  begin(): void {
    this.#isTimed = this.#sink === 'file';
  }

  /** Writes it, or counts what of it is left out. */
  readonly remark: Remark = (text, level = 'info') => {
    const lines = typeof text === 'string' ? [text] : text;
    const admitted = lines.filter(() => this.#admits(level));
    if (admitted.length > 0) this.#put(admitted, level);
  };

  /** Says how many lines were left out and not told of yet. Idempotent. */
  tellLeftOut(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    const leftOut = this.#limit.takeLeftOut();
    if (leftOut.length > 0) this.#put([describeLeftOut(leftOut)], 'warning');
  }

  #admits(level: Level): boolean {
    if (this.#sink !== 'journal' || this.#limit.admit(level, this.#nowMs())) return true;
    this.#telling ??= setTimeout(() => this.tellLeftOut(), TELL_LEFT_OUT_MS).unref();
    return false;
  }

  #put(lines: readonly string[], level: Level): void {
    const front = `${levelMark(this.#sink, level)}${this.#isTimed ? `${formatTime(Date.now())} ` : ''}${this.#title}`;
    this.#write(lines.map((line) => `${front}${escapeControl(line)}\n`).join(''));
  }
}

/** A sentence on what was left out: `5 lines left out: 4 info, 1 notice`. */
export function describeLeftOut(leftOut: readonly LeftOut[], what = 'lines'): string {
  const total = leftOut.reduce((sum, { lines }) => sum + lines, 0);
  const each = leftOut.map(({ level, lines }) => `${lines} ${level}`).join(', ');
  return `${total} ${what} left out: ${each}`;
}

/** Where stderr goes. */
export function stderrSink(): Sink {
  return sinkOf(2, process.env, process.stderr.isTTY);
}
