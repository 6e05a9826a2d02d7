import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import type { Answer, Handler } from './answer.ts';
import { Connection } from './connection.ts';

export type { Answer, Handler } from './answer.ts';

/** Connections at a time; one more is told so and closed. */
const MAX_CONNECTIONS = 256;

/**
 * Serves requests on a unix socket that only root may open: a line of JSON with the key `command`, answered by a line
 * `{"ok":true}` or `{"ok":false,"error":…}`, whatever lines follow, and an empty one. A client that closes its end
 * wants no more.
 */
export class ControlServer implements Disposable {
  readonly #server: Server;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #connections = new Set<Connection>();
  readonly #path: string;
  #isClosed = false;

  constructor(path: string, handlers: ReadonlyMap<string, Handler>, onError: (error: Error) => void) {
    this.#handlers = handlers;
    this.#path = path;
    // One that a killed process left: whoever serves holds the instance's lock.
    rmSync(path, { force: true });
    this.#server = createServer((socket) => {
      const connection = new Connection(socket, (request, answer) => this.#handle(request, answer));
      if (this.#isClosed) connection.refuse('the process ends');
      else if (this.#connections.size >= MAX_CONNECTIONS) {
        connection.refuse(`${MAX_CONNECTIONS} clients are connected already`);
      } else {
        this.#connections.add(connection);
        connection.onceClosed(() => this.#connections.delete(connection));
      }
    });
    this.#server.on('error', onError);
    const mask = process.umask(0o177);
    try {
      this.#server.listen(path);
    } finally {
      process.umask(mask);
    }
  }

  /** Takes no more requests and ends those that are answered. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#server.close();
    rmSync(this.#path, { force: true });
    for (const connection of this.#connections) connection.endSoon();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #handle(request: ReadonlyMap<string, unknown>, answer: Answer): void | Promise<void> {
    const command = request.get('command');
    const handler = typeof command === 'string' ? this.#handlers.get(command) : undefined;
    if (handler) return handler(request, answer);
    const legal = [...this.#handlers.keys()].join(', ');
    throw new SyntaxError(`command ${JSON.stringify(command)} is not known: ${legal} is legal`);
  }
}
