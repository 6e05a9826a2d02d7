import type { Socket } from 'node:net';
import { listenUnix, type UnixListener } from '../libbpf/unix-listener.ts';
import { LineCutter } from './frames.ts';

/** Connections at a time; one more is told so and closed. */
const MAX_CONNECTIONS = 256;
/** Characters of a request. */
const MAX_REQUEST = 1 << 16;
/** How long a client may take to ask. */
const REQUEST_LIMIT_MS = 5_000;
/** Characters that wait in one connection for its reader before it counts as behind. */
const MAX_WAITING = 1 << 18;
/** How long a reader that is behind may take to the rest when its connection ends. */
const LAST_WORDS_MS = 1_000;

/** The answer to one request: lines, until it is ended. */
export interface Answer {
  /** Sends text, lines with their line breaks. Answers whether the reader keeps up; text is never lost. */
  send(text: string): boolean;
  /** Calls back once the reader has caught up. */
  onceReady(act: () => void): void;
  /** Ends the connection behind what was sent. Idempotent. */
  end(): void;
  /** Calls back when the connection is over, whoever ended it. */
  onceClosed(act: () => void): void;
}

/** Handles one kind of request; what it throws is the answer. `request` is whatever JSON object the client sent. */
export type Handler = (request: ReadonlyMap<string, unknown>, answer: Answer) => void | Promise<void>;

/**
 * Serves requests on a unix socket that only root may open: a line of JSON with the key `command`, answered by a line
 * `{"ok":true}` or `{"ok":false,"error":…}` and whatever lines follow.
 */
export class ControlServer implements Disposable {
  readonly #listener: UnixListener;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #sockets = new Set<Socket>();

  /** A socket that a killed process left is replaced: whoever serves holds the instance's lock. Throws SystemError. */
  constructor(path: string, handlers: ReadonlyMap<string, Handler>) {
    this.#handlers = handlers;
    this.#listener = listenUnix(path, 0o600, (fd) => void this.#open(fd));
  }

  /** Takes no more requests and ends those that are answered. Idempotent. */
  close(): void {
    this.#listener.close();
    for (const socket of this.#sockets) endSoon(socket);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /* Loaded by the first client: most processes never have one. */
  async #open(fd: number): Promise<void> {
    const { Socket: NetSocket } = await import('node:net');
    this.#accept(new NetSocket({ fd, readable: true, writable: true }));
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy()); // the client went away
    if (this.#sockets.size >= MAX_CONNECTIONS) {
      refuse(socket, `${MAX_CONNECTIONS} clients are connected already`);
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.setEncoding('utf8');
    const cutter = new LineCutter(MAX_REQUEST);
    const limit = setTimeout(() => refuse(socket, 'no request came in time'), REQUEST_LIMIT_MS);
    socket.on('close', () => clearTimeout(limit));
    const take = (text: string): void => {
      try {
        const [line] = cutter.push(text);
        if (line === undefined) return;
        clearTimeout(limit);
        socket.off('data', take);
        socket.resume(); // what else it sends is not read by anybody, and its end is seen
        void this.#handle(line, socket);
      } catch (thrown) {
        refuse(socket, thrown instanceof Error ? thrown.message : String(thrown));
      }
    };
    socket.on('data', take);
  }

  async #handle(line: string, socket: Socket): Promise<void> {
    try {
      const request = parseRequest(line);
      const command = request.get('command');
      const handler = typeof command === 'string' ? this.#handlers.get(command) : undefined;
      if (!handler) {
        const legal = [...this.#handlers.keys()].join(', ');
        throw new SyntaxError(`command ${JSON.stringify(command)} is not known: ${legal} is legal`);
      }
      await handler(request, new SocketAnswer(socket));
    } catch (thrown) {
      refuse(socket, thrown instanceof Error ? thrown.message : String(thrown));
    }
  }
}

class SocketAnswer implements Answer {
  readonly #socket: Socket;
  #isBegun = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(text: string): boolean {
    this.#begin(text);
    return this.#socket.writableLength <= MAX_WAITING;
  }

  onceReady(act: () => void): void {
    if (this.#socket.writableNeedDrain) this.#socket.once('drain', act);
    else setImmediate(act);
  }

  end(): void {
    this.#begin('');
    this.#socket.end();
  }

  onceClosed(act: () => void): void {
    if (this.#socket.destroyed) act();
    else this.#socket.once('close', act);
  }

  #begin(text: string): void {
    if (this.#socket.destroyed) return;
    const head = this.#isBegun ? '' : '{"ok":true}\n';
    this.#isBegun = true;
    if (head + text !== '') this.#socket.write(head + text);
  }
}

function parseRequest(line: string): ReadonlyMap<string, unknown> {
  const value: unknown = JSON.parse(line);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SyntaxError('a request is an object');
  return new Map(Object.entries(value));
}

function refuse(socket: Socket, error: string): void {
  if (socket.destroyed) return;
  socket.write(`${JSON.stringify({ ok: false, error })}\n`);
  endSoon(socket);
}

/* Neither a reader that has stopped nor one that never closes its end keeps the connection. */
function endSoon(socket: Socket): void {
  socket.end();
  const limit = setTimeout(() => socket.destroy(), LAST_WORDS_MS);
  limit.unref();
  socket.on('close', () => clearTimeout(limit));
}
