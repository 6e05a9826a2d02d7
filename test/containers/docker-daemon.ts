import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ScratchSocket } from './scratch-socket.ts';

/** A container as this daemon has it. */
export interface Kept {
  readonly id: string;
  name: string;
  labels: Readonly<Record<string, string>>;
  /** 0 when it does not run. */
  pid: number;
}

/** Answers to a path in place of the usual one. */
export type Override = (request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * A server on a unix socket that answers as Docker's Engine API 1.43 does, with the fields that its reference shows
 * in its examples, or as Podman's service.
 */
export class DockerDaemon implements Disposable {
  readonly containers = new Map<string, Kept>();
  readonly requests: string[] = [];
  override: Override = () => false;
  readonly #engine: string;
  readonly #scratch = new ScratchSocket();
  readonly #followers = new Set<ServerResponse>();
  readonly #connections = new Set<Socket>();
  #server = createServer();

  constructor(engine: 'Engine' | 'Podman Engine' = 'Engine') {
    this.#engine = engine;
  }

  get path(): string {
    return this.#scratch.path;
  }

  async start(): Promise<void> {
    this.#server = createServer((request, response) => this.#answer(request, response));
    this.#server.on('connection', (connection) => {
      this.#connections.add(connection.on('error', () => {}));
    });
    this.#server.listen(this.path);
    await once(this.#server, 'listening');
  }

  /** Ends it with its connections; the containers stay. */
  async stop(): Promise<void> {
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
    this.#connections.clear();
    this.#followers.clear();
    await once(this.#server, 'close');
  }

  /** Makes or changes a container and tells of it. */
  tell(action: string, kept: Kept): void {
    if (['destroy', 'remove'].includes(action)) this.containers.delete(kept.id);
    else this.containers.set(kept.id, kept);
    this.write(
      `${JSON.stringify({
        status: action,
        id: kept.id,
        from: 'alpine',
        Type: 'container',
        Action: action,
        Actor: { ID: kept.id, Attributes: { ...kept.labels, image: 'alpine', name: kept.name } },
        scope: 'local',
        time: 1629574695,
        timeNano: 1629574695515050000,
      })}\n`,
    );
  }

  /** Sends text to who follows the events. */
  write(text: string): void {
    for (const follower of this.#followers) follower.write(text);
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
    this.#scratch[Symbol.dispose]();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://localhost');
    this.requests.push(url.pathname);
    if (this.override(request, response)) return;
    const id = /^\/containers\/([0-9a-f]+)\/json$/u.exec(url.pathname)?.[1];
    if (url.pathname === '/version') {
      response.end(
        JSON.stringify({ Components: [{ Name: this.#engine, Version: '24.0.7' }], ApiVersion: '1.43' }),
      );
    } else if (url.pathname === '/events') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      this.#followers.add(response);
    } else if (url.pathname === '/containers/json') {
      response.end(JSON.stringify(this.#list(url)));
    } else if (id !== undefined && this.containers.has(id)) {
      const kept = this.containers.get(id);
      response.end(
        JSON.stringify({
          Id: id,
          Name: `/${kept?.name}`,
          State: { Status: kept?.pid ? 'running' : 'exited', Running: Boolean(kept?.pid), Pid: kept?.pid },
          Config: { Labels: kept?.labels, Image: 'alpine' },
        }),
      );
    } else {
      response.writeHead(404);
      response.end('{"message":"No such container"}');
    }
  }

  #list(url: URL): object[] {
    const filters = new Map(Object.entries(JSON.parse(url.searchParams.get('filters') ?? '{}')));
    const ids = filters.get('id');
    return [...this.containers.values()]
      .filter(({ id }) => !Array.isArray(ids) || ids.includes(id))
      .map(({ id, name, labels, pid }) => ({
        Id: id,
        Names: [`/${name}`, `/other/${name}-as-linked`],
        Image: 'alpine',
        Labels: labels,
        State: pid ? 'running' : 'exited',
      }));
  }
}
