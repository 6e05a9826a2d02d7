import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SystemError, TakenError, UsageError } from '../errors.ts';

/** Where to listen: an address without brackets, and a port, 0 = any that is free. */
export interface ListenPlace {
  readonly host: string;
  readonly port: number;
  readonly isLoopback: boolean;
}

/** What is answered. */
export interface Page {
  readonly contentType: string;
  write(): Promise<Uint8Array>;
}

/** What one who asks may take. */
export interface ServerLimits {
  /** Connections at a time; more are closed at once. */
  readonly connections: number;
  /** How long a client may take to ask. */
  readonly askingMs: number;
  /** How long one may take to the end of its answer. */
  readonly connectionMs: number;
}

const LIMITS: ServerLimits = { connections: 32, askingMs: 5_000, connectionMs: 20_000 };
const MAX_HEADER_BYTES = 8_192;
const PATH = '/metrics';

/**
 * An HTTP server of one page, `/metrics`. It answers each connection once, in bounded time: whoever reads slowly or
 * not at all is cut off, and keeps nobody waiting.
 */
export class MetricsServer implements Disposable {
  readonly #server: Server;
  readonly #place: ListenPlace;
  #page: Page | undefined;
  #answering: Promise<void> = Promise.resolve();

  /** Use `MetricsServer.listen`. */
  constructor(place: ListenPlace, limits: ServerLimits) {
    this.#place = place;
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: limits.askingMs,
        requestTimeout: limits.askingMs,
        connectionsCheckingInterval: Math.min(1_000, limits.askingMs),
        keepAlive: false,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = limits.connections;
    this.#server.maxRequestsPerSocket = 1;
    this.#server.on('connection', (socket: Socket) => limitTime(socket, limits.connectionMs));
    // Whoever asks what we do not take up is not let go on.
    for (const event of ['upgrade', 'connect'])
      this.#server.on(event, (_request: IncomingMessage, socket: Socket) => socket.destroy());
  }

  /**
   * Listens at once; answers that there is nothing yet until it is given a page. Throws TakenError for a port that
   * another has, UsageError for an address that is not this host's, SystemError.
   */
  static async listen(place: ListenPlace, limits: ServerLimits = LIMITS): Promise<MetricsServer> {
    const made = new MetricsServer(place, limits);
    const { host, port } = place;
    try {
      await new Promise<void>((resolve, reject) => {
        made.#server.once('error', reject);
        made.#server.listen({ host, port, backlog: limits.connections, exclusive: true }, resolve);
      });
    } catch (thrown) {
      throw explain(thrown, urlOf(host, port));
    }
    // It accepts again by itself once there are descriptors.
    made.#server.removeAllListeners('error').on('error', () => {});
    made.#server.unref(); // the enforcer is what keeps the process alive
    return made;
  }

  /** Where it is found, with the port that it has. */
  get url(): string {
    const address = this.#server.address();
    const port = address !== null && typeof address === 'object' ? address.port : this.#place.port;
    return urlOf(this.#place.host, port);
  }

  /** Answers with `page` from now on. */
  show(page: Page): void {
    this.#page = page;
  }

  /** Cuts everybody off and gives the port back. Idempotent. */
  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /* Those who wait for the same text get it one after the other, each in a turn of its own. */
  #nextAnswer(): Promise<void> {
    this.#answering = this.#answering.then(() => nextTurn());
    return this.#answering;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {}); // the client went away
    response.setHeader('Connection', 'close');
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    if (this.#place.isLoopback && !namesLoopback(request.headers.host))
      return say(response, 403, `Host is not of this machine's loopback: ask for ${this.url}\n`);
    const path = request.url?.replace(/\?.*$/su, '');
    if (path !== PATH && path !== '/') return say(response, 404, `Only ${PATH} is here.\n`);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return say(response, 405, 'Only GET and HEAD are answered.\n');
    }
    if (path === '/') return say(response, 200, `l7egg: metrics are at ${PATH}\n`);
    if (!this.#page) return say(response, 503, 'Nothing is enforced yet.\n');
    try {
      const { contentType } = this.#page;
      const text = await this.#page.write();
      await this.#nextAnswer();
      response.setHeader('Content-Type', contentType);
      response.end(text);
    } catch (thrown) {
      say(response, 500, `Cannot count: ${thrown instanceof Error ? thrown.message : thrown}\n`);
    }
  }
}

function say(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(text);
}

function limitTime(socket: Socket, limitMs: number): void {
  const limit = setTimeout(() => socket.destroy(), limitMs).unref();
  socket.once('close', () => clearTimeout(limit));
}

/*
 * The names in the answer are for this host: a page of the web that a name of its own makes lead to loopback (DNS
 * rebinding) sends that name. Any port: it may have been forwarded.
 */
function namesLoopback(host: string | undefined): boolean {
  const [, name = ''] = /^(\[[^\]]*\]|[^:[\]]*)(?::\d{1,5})?$/u.exec(host ?? '') ?? [];
  return /^(?:localhost|127(?:\.(?:0|[1-9]\d{0,2})){3}|\[::1\])$/iu.test(name);
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}${PATH}`;
}

function explain(thrown: unknown, url: string): unknown {
  if (!(thrown instanceof Error) || !('code' in thrown)) return thrown;
  const cause = { cause: thrown };
  switch (thrown.code) {
    case 'EADDRINUSE':
      return new TakenError(
        `Cannot listen at "${url}": another program has that port: another port is legal, or 0 for any`,
        cause,
      );
    case 'EADDRNOTAVAIL':
      return new UsageError(
        `Cannot listen at "${url}": this host does not have that address: one of its own is legal`,
        cause,
      );
    default:
      return new SystemError(`listen at "${url}"`, `${thrown.code}`, cause);
  }
}
