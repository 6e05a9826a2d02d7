import { listenUnix, type UnixListener } from '../libbpf/unix-listener.ts';
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
  readonly #listener: UnixListener;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #connections = new Set<Connection>();
  #isClosed = false;

  /** A socket that a killed process left is replaced: whoever serves holds the instance's lock. Throws SystemError. */
  constructor(path: string, handlers: ReadonlyMap<string, Handler>) {
    this.#handlers = handlers;
    this.#listener = listenUnix(path, 0o600, (fd) => void this.#open(fd));
  }

  /** Takes no more requests and ends those that are answered. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.close();
    for (const connection of this.#connections) connection.endSoon();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /* Loaded by the first client: most processes never have one. */
  async #open(fd: number): Promise<void> {
    const { Socket } = await import('node:net');
    const socket = new Socket({ fd, readable: true, writable: true });
    const connection = new Connection(socket, (request, answer) => this.#handle(request, answer));
    if (this.#isClosed) return connection.refuse('the process ends');
    if (this.#connections.size >= MAX_CONNECTIONS)
      return connection.refuse(`${MAX_CONNECTIONS} clients are connected already`);
    this.#connections.add(connection);
    connection.onceClosed(() => this.#connections.delete(connection));
  }

  #handle(request: ReadonlyMap<string, unknown>, answer: Answer): void | Promise<void> {
    const command = request.get('command');
    const handler = typeof command === 'string' ? this.#handlers.get(command) : undefined;
    if (handler) return handler(request, answer);
    const legal = [...this.#handlers.keys()].join(', ');
    throw new SyntaxError(`command ${JSON.stringify(command)} is not known: ${legal} is legal`);
  }
}
