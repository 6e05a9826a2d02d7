import type { Socket } from 'node:net';
import type { Answer, Handler } from './answer.ts';
import { LineCutter } from './frames.ts';

/** Characters of a request. */
const MAX_REQUEST = 1 << 16;
/** How long a client may take to ask. */
const REQUEST_LIMIT_MS = 5_000;
/** Characters that wait in one connection for its reader before it counts as behind. */
const MAX_WAITING = 1 << 18;
/** How long a connection may take to close when all was said, and how long when the process ends. */
const LAST_WORDS_MS = 1_000;
const ENDING_MS = 500;

/** One client: takes its request, and is the answer to it. */
export class Connection implements Answer {
  readonly #socket: Socket;
  readonly #handle: Handler;
  #state: 'asking' | 'answering' | 'ended' = 'asking';
  #isBegun = false;
  #onEnding: (() => void) | undefined;

  /** @param handle answers the request; what it throws is the answer */
  constructor(socket: Socket, handle: Handler) {
    this.#socket = socket;
    this.#handle = handle;
    socket.on('error', () => socket.destroy()); // the client went away
    socket.setEncoding('utf8');
    const cutter = new LineCutter(MAX_REQUEST);
    const limit = setTimeout(() => this.refuse('no request came in time'), REQUEST_LIMIT_MS);
    socket.on('close', () => clearTimeout(limit));
    // Read to the end, whatever it sends: so it is seen that the client closes its end.
    socket.on('data', (text) => {
      if (this.#state !== 'asking') return;
      try {
        const [line] = cutter.push(String(text));
        if (line === undefined) return;
        clearTimeout(limit);
        this.#state = 'answering';
        void this.#answer(line);
      } catch (thrown) {
        this.refuse(wordsOf(thrown));
      }
    });
  }

  send(text: string): boolean {
    if (this.#state !== 'answering' || !this.#socket.writable) return true;
    const head = this.#isBegun ? '' : '{"ok":true}\n';
    this.#isBegun = true;
    if (head + text !== '') this.#socket.write(head + text);
    return this.#socket.writableLength <= MAX_WAITING;
  }

  onceReady(act: () => void): void {
    if (this.#socket.writableNeedDrain) this.#socket.once('drain', act);
    else setImmediate(act);
  }

  end(): void {
    if (this.#state !== 'answering') return;
    this.send('\n');
    this.#close();
  }

  onceEnding(act: () => void): void {
    this.#onEnding = act;
  }

  onceClosed(act: () => void): void {
    if (this.#socket.destroyed) act();
    else this.#socket.once('close', act);
  }

  /** Answers that the request is not answered, and why. */
  refuse(error: string): void {
    if (this.#state === 'ended') return;
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify({ ok: false, error })}\n`);
    this.#close();
  }

  /** Ends the answer from our side, or lets it end. A reader that has stopped does not keep the connection for long. */
  endSoon(): void {
    if (this.#state === 'asking') this.refuse('the process ends');
    if (this.#onEnding) this.#onEnding();
    else this.end();
    this.#destroyLater(ENDING_MS);
  }

  async #answer(line: string): Promise<void> {
    try {
      await this.#handle(parseRequest(line), this);
    } catch (thrown) {
      this.refuse(wordsOf(thrown));
    }
  }

  /* Nor does one that never closes its end; but what it was sent it may read as slowly as it likes. */
  #close(): void {
    this.#state = 'ended';
    this.#socket.end(() => this.#destroyLater(LAST_WORDS_MS));
  }

  #destroyLater(limitMs: number): void {
    if (this.#socket.destroyed) return;
    const limit = setTimeout(() => this.#socket.destroy(), limitMs);
    limit.unref();
    this.#socket.once('close', () => clearTimeout(limit));
  }
}

function parseRequest(line: string): ReadonlyMap<string, unknown> {
  const value: unknown = JSON.parse(line);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SyntaxError('a request is an object');
  return new Map(Object.entries(value));
}

function wordsOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
