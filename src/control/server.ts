import { readFileSync } from 'node:fs';
import { listenUnix, type UnixListener } from '../libbpf/unix-listener.ts';
import type { Answer, Handler } from './answer.ts';
import { Connection } from './connection.ts';

export type { Answer, Handler } from './answer.ts';

/** Connections at a time, and of the descriptors that the process may have a share; one more is told so and closed. */
const MAX_CONNECTIONS = 256;
const SHARE_OF_DESCRIPTORS = 1 / 4;

/**
 * Serves requests on a unix socket that only root may open: a line of JSON with the key `command`, answered by a line
 * `{"ok":true}` or `{"ok":false,"error":…}`, whatever lines follow, and an empty one. A client that closes its end
 * wants no more.
 */
export class ControlServer implements Disposable {
  readonly #listener: UnixListener;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #connections = new Set<Connection>();
  readonly #refused = new Set<Connection>();
  readonly #mostConnections = Math.min(MAX_CONNECTIONS, Math.floor(descriptorLimit() * SHARE_OF_DESCRIPTORS));
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
    if (this.#connections.size >= this.#mostConnections) {
      connection.refuse(`${this.#mostConnections} clients are connected already`);
      // Who has read it closes, and is waited for: as long as these are not too many, too.
      if (this.#refused.size >= this.#mostConnections) socket.destroy();
      else this.#refused.add(connection);
      connection.onceClosed(() => this.#refused.delete(connection));
      return;
    }
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

/* How many descriptors this process may have. */
function descriptorLimit(): number {
  const soft = /^Max open files +(\d+)/mu.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft); // "unlimited"
}
