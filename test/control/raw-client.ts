import { createConnection, type Socket } from 'node:net';
import { until } from '../lab/wait.ts';

const LIMIT_MS = 10_000;

/** A client of a control socket that sends what it is told, be it a request or not. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  #text = '';
  #isOver = false;
  #failure: string | undefined;

  constructor(path: string) {
    this.socket = createConnection(path);
    this.socket.setEncoding('utf8');
    this.socket.on('data', (text) => {
      this.#text += String(text);
    });
    this.socket.on('error', (failure: NodeJS.ErrnoException) => {
      this.#failure = failure.code;
    });
    this.socket.on('end', () => {
      this.#isOver = true;
    });
    this.socket.on('close', () => {
      this.#isOver = true;
    });
  }

  /** What it was sent so far. */
  get text(): string {
    return this.#text;
  }

  /** Code of what went wrong with the connection. */
  get failure(): string | undefined {
    return this.#failure;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  send(text: string | Uint8Array): this {
    this.socket.write(text);
    return this;
  }

  /** Resolves with all that it was sent, once the server has ended the connection. */
  async whole(limitMs = LIMIT_MS): Promise<string> {
    await until(() => this.#isOver, {
      limitMs,
      what: `the end of an answer, after ${this.#text.slice(0, 200)}`,
    });
    return this.#text;
  }

  /** Resolves once `text` was received. */
  async received(text: string): Promise<void> {
    await until(() => this.#text.includes(text), { limitMs: LIMIT_MS, what: `"${text}"` });
  }

  close(): void {
    this.socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
