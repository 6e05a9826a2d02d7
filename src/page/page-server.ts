import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { SystemError, TakenError } from '../errors.ts';
import { encodeJsonLine } from '../flow/escape.ts';
import type { Event } from '../flow/event.ts';
import type { EventFeed } from '../flow/feed.ts';
import { renderJson } from '../flow/render-json.ts';
import type { PageState } from '../view/state.ts';
import { type Asset, readAssets } from './assets.ts';
import { EventStream } from './event-stream.ts';
import { bearerOf, legalHosts, type Refusal, refuse } from './guard.ts';
import { HEADERS } from './headers.ts';
import { decodePlace } from './message.ts';
import { Token } from './token.ts';

/** Where to listen; port 0 = any free one. */
export interface PageAddress {
  readonly address: string;
  readonly port: number;
}

/** What the page shows. */
export interface PageSource {
  readonly feed: EventFeed;
  readonly state: () => PageState;
}

const MAX_CONNECTIONS = 32;
/** Of these, so that a page can be opened whoever reads. */
const MAX_READERS = 16;
const MAX_HEADER_BYTES = 8 << 10;
const MAX_WAIT_MS = 5_000;
const BEAT_MS = 5_000;
/** What a reader that does not read may cost us at the end. */
const LAST_WORDS_MS = 500;
const EVENT_STREAM = 'text/event-stream; charset=utf-8';
/** What goes with a status (RFC 9110). */
const WITH_STATUS: ReadonlyMap<number, Record<string, string>> = new Map([
  [401, { 'WWW-Authenticate': 'Bearer' }],
  [405, { Allow: 'GET, HEAD' }],
  [503, { 'Retry-After': '1' }],
]);

/**
 * Serves the page on a loopback address to whoever has its token. It answers GET and HEAD, and nothing that it is
 * asked changes anything.
 */
export class PageServer implements Disposable {
  /** With the token. */
  readonly url: string;
  readonly #token = new Token();
  readonly #run = randomBytes(6).toString('hex');
  readonly #server: Server;
  readonly #hosts: readonly string[];
  readonly #assets: ReadonlyMap<string, Asset>;
  readonly #streams = new Map<EventStream, ServerResponse>();
  /** Of events that are kept anyway: written once, however many read them. */
  readonly #lines = new WeakMap<Event, string>();
  #source: PageSource | undefined;
  #beat: NodeJS.Timeout | undefined;

  /** @param server that listens at `at` */
  constructor(server: Server, at: PageAddress, assets: ReadonlyMap<string, Asset>) {
    this.#server = server;
    this.#assets = assets;
    this.#hosts = legalHosts(at.address, at.port);
    this.url = `http://${this.#hosts[0]}/?token=${this.#token.text}`;
    // Such as no descriptor for one more connection: whoever asked has none, and that is all.
    server.on('error', () => {});
    server.on('request', (request, response) => this.#answer(request, response));
  }

  /** Tells of `source` from now on; until then there is nothing to tell. */
  serve(source: PageSource): void {
    this.#source = source;
  }

  /** Ends all connections, those of readers once they have the last events or LAST_WORDS_MS later. Idempotent. */
  close(): void {
    clearInterval(this.#beat);
    for (const [stream, response] of this.#streams) {
      stream.flush();
      stream.close();
      response.end();
    }
    this.#streams.clear();
    this.#server.close();
    this.#server.closeIdleConnections();
    setTimeout(() => this.#server.closeAllConnections(), LAST_WORDS_MS).unref();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => {}); // it went away
    const refusal = this.#refusalOf(request);
    const asset = this.#assets.get(pathOf(request));
    const isHead = request.method === 'HEAD';
    if (refusal) end(response, refusal);
    else if (asset) sendAsset(response, asset, isHead);
    else if (isHead) response.writeHead(200, { ...HEADERS, 'Content-Type': EVENT_STREAM }).end();
    else this.#openStream(response, request.headers['last-event-id']);
  }

  /* The files of the page say nothing of this host: what shows them is told nothing without the token. */
  #refusalOf({ method = '', url = '', headers }: IncomingMessage): Refusal | undefined {
    const refusal = refuse({ method, host: headers.host, origin: headers.origin }, this.#hosts);
    if (refusal) return refusal;
    const shown = new URLSearchParams(url.split('?')[1]).get('token');
    if (shown !== null && !this.#token.matches(shown))
      return { status: 403, text: 'This is not the token that the enforcer said at its start.' };
    const path = pathOf({ url });
    if (this.#assets.has(path)) return undefined;
    if (path !== '/events') return { status: 404, text: 'There is no such page.' };
    return this.#token.matches(bearerOf(headers.authorization))
      ? undefined
      : { status: 401, text: 'The token is needed, as Authorization: Bearer TOKEN.' };
  }

  #openStream(response: ServerResponse, lastEventId: string | string[] | undefined): void {
    const source = this.#source;
    if (!source || this.#streams.size >= MAX_READERS) {
      const text = source ? `There are ${MAX_READERS} readers already.` : 'The enforcer starts.';
      end(response, { status: 503, text });
      return;
    }
    response.writeHead(200, { ...HEADERS, 'Content-Type': EVENT_STREAM });
    const sink = {
      get writableLength() {
        return response.writableLength;
      },
      write: (text: string) => void response.write(text),
      onceDrained: (act: () => void) => void response.once('drain', act),
    };
    const { feed, state } = source;
    const render = (event: Event) => this.#render(event);
    const from = { feed, run: this.#run, render, state: () => encodeJsonLine(state()) };
    const place = typeof lastEventId === 'string' ? lastEventId : undefined;
    const stream = new EventStream(sink, from, decodePlace(this.#run, place));
    this.#streams.set(stream, response);
    this.#beat ??= setInterval(() => this.#beatAll(), BEAT_MS).unref();
    response.once('close', () => this.#forget(stream));
  }

  #render(event: Event): string {
    const line = this.#lines.get(event) ?? renderJson(event);
    this.#lines.set(event, line);
    return line;
  }

  #forget(stream: EventStream): void {
    stream.close();
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    clearInterval(this.#beat);
    this.#beat = undefined;
  }

  #beatAll(): void {
    const nowMs = Date.now();
    for (const stream of this.#streams.keys()) stream.beat(nowMs);
  }
}

/** Begins to listen; `directory` has the files of the page. Throws TakenError, SystemError. */
export async function openPage(at: PageAddress, directory: string): Promise<PageServer> {
  const assets = readAssets(directory);
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: MAX_WAIT_MS,
    requestTimeout: MAX_WAIT_MS,
    keepAliveTimeout: MAX_WAIT_MS,
    connectionsCheckingInterval: MAX_WAIT_MS,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.maxRequestsPerSocket = 1_000;
  try {
    server.listen({ host: at.address, port: at.port });
    await once(server, 'listening');
  } catch (thrown) {
    throw cannotListen(at, thrown);
  }
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : at.port;
  return new PageServer(server, { address: at.address, port }, assets);
}

function cannotListen({ address, port }: PageAddress, thrown: unknown): unknown {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : undefined;
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  if (code === 'EADDRINUSE') {
    return new TakenError(
      `Cannot serve the page at ${where}: another process has that port; another port is legal, or 0 for a free one`,
    );
  }
  return code === undefined ? thrown : new SystemError(`serve the page at ${where}`, code, { cause: thrown });
}

function pathOf({ url = '' }: { readonly url?: string | undefined }): string {
  return url.split('?')[0] ?? '';
}

function sendAsset(response: ServerResponse, { body, mediaType }: Asset, isHead: boolean): void {
  response.writeHead(200, { ...HEADERS, 'Content-Type': mediaType, 'Content-Length': body.length });
  response.end(isHead ? undefined : body);
}

function end(response: ServerResponse, { status, text }: Refusal): void {
  const type = 'text/plain; charset=utf-8';
  response.writeHead(status, {
    ...HEADERS,
    ...WITH_STATUS.get(status),
    'Content-Type': type,
    Connection: 'close',
  });
  response.end(`${text}\n`);
}
