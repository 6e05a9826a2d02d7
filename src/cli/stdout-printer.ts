/** Characters that wait to be written before whoever prints should wait. */
const MAX_WAITING = 1 << 16;

/** Writes lines to stdout, those of one turn of the loop in one go: a write costs more than a line. */
export class StdoutPrinter {
  #text = '';
  #isScheduled = false;
  #isOver = false;

  /** @param onOver called once the reader of stdout has gone away */
  constructor(onOver: () => void) {
    const end = () => {
      this.#isOver = true;
      onOver();
    };
    process.stdout.once('error', end);
    process.stdout.once('close', end);
  }

  /** Prints soon. */
  print(text: string): void {
    this.#text += text;
    if (this.#isScheduled || this.#text === '') return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  /** Prints now. */
  flush(): void {
    const text = this.#text;
    this.#text = '';
    if (text !== '' && !this.#isOver) process.stdout.write(text);
  }

  /** More waits than should. */
  get isBehind(): boolean {
    return this.#text.length > MAX_WAITING || process.stdout.writableLength > MAX_WAITING;
  }

  /** For one who wants to end now: what the reader has not taken by `limitMs` is left, and the process ends. */
  end(limitMs: number): void {
    this.flush();
    setTimeout(() => process.exit(), limitMs).unref();
  }

  /** Resolves once what waits was written, or nobody reads it any more. */
  async caughtUp(): Promise<void> {
    this.flush();
    if (this.#isOver || !process.stdout.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        process.stdout.off('drain', done).off('error', done).off('close', done);
        resolve();
      };
      process.stdout.on('drain', done).on('error', done).on('close', done);
    });
  }
}
