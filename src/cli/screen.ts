import { writeSync } from 'node:fs';
import type { Size } from '../watch/render.ts';

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J'; // another screen, no cursor, lines are not wrapped
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
/* Terminals that know it show the frame at once; others leave it out. */
const BEGIN_FRAME = '\x1b[?2026h';
const END_FRAME = '\x1b[?2026l';
const SMALLEST: Size = { columns: 20, rows: 6 };

/**
 * The terminal of this process as a screen of lines, whose keys come one by one. What was there before comes back when
 * it is closed, and however the process ends, but for SIGKILL.
 */
export class Screen implements Disposable {
  #shown: readonly string[] = [];
  #isOpen = false;
  readonly #onExit = () => this.close();

  constructor() {
    process.on('exit', this.#onExit);
    this.open();
  }

  /** Takes the terminal over, again after `close`. Idempotent. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.forget();
    process.stdin.setRawMode(true);
    process.stdin.resume();
    put(ENTER);
  }

  get size(): Size {
    const [columns, rows] = process.stdout.getWindowSize();
    return {
      columns: Math.max(SMALLEST.columns, columns),
      rows: Math.max(SMALLEST.rows, rows),
    };
  }

  /** Shows lines from the top on, in one write, of those that are others than before. */
  show(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    const changed = lines.flatMap((line, index) =>
      line === this.#shown[index] ? [] : `\x1b[${index + 1};1H${line}\x1b[0m\x1b[K`,
    );
    const isShown = changed.length === 0 || put(BEGIN_FRAME + changed.join('') + END_FRAME);
    this.#shown = isShown ? lines : [];
  }

  /** The next frame is drawn in full. */
  forget(): void {
    this.#shown = [];
  }

  /** Gives the terminal back as it was. Idempotent. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    put(LEAVE);
    try {
      process.stdin.setRawMode(false);
    } catch {
      // the terminal is gone, and its mode with it
    }
    process.stdin.pause();
  }

  [Symbol.dispose](): void {
    this.close();
    process.off('exit', this.#onExit);
  }
}

/* In this turn: on the way out there is no other. Answers whether all was written. */
function put(text: string): boolean {
  try {
    for (let bytes = Buffer.from(text); bytes.length > 0; ) bytes = bytes.subarray(writeSync(1, bytes));
    return true;
  } catch {
    // EIO: the terminal is gone; whoever reads its keys sees their end. EAGAIN: somebody made it non-blocking: the
    // next frame comes.
    return false;
  }
}
