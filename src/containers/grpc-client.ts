import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { SystemError } from '../errors.ts';
import { encodeGrpcFrame, GrpcFrames } from './grpc-frames.ts';

/** What may be said about one call. */
export interface CallOptions {
  /** The header `containerd-namespace`. */
  readonly namespace?: string;
  /** How long a message of the answer may be. */
  readonly limitBytes: number;
}

/** Names of gRPC's status codes that a caller tells apart or that containerd gives often. */
const STATUS_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'CANCELLED'],
  [2, 'UNKNOWN'],
  [3, 'INVALID_ARGUMENT'],
  [4, 'DEADLINE_EXCEEDED'],
  [5, 'NOT_FOUND'],
  [7, 'PERMISSION_DENIED'],
  [8, 'RESOURCE_EXHAUSTED'],
  [12, 'UNIMPLEMENTED'],
  [14, 'UNAVAILABLE'],
]);
const MAX_MESSAGE_CHARACTERS = 200;
const CALL_LIMIT_MS = 10_000;

/**
 * Owns one HTTP/2 connection to a gRPC server behind a unix socket: calls with one answer, and streams of answers.
 * What is in the way of a call rejects it with a SystemError; its code is the gRPC status or an errno.
 */
export class GrpcClient implements Disposable {
  readonly #socketPath: string;
  readonly #session: ClientHttp2Session;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
    this.#session = connect('http://localhost', {
      createConnection: () => connectSocket(socketPath),
      settings: { enablePush: false },
    });
    // Every call that is under way is rejected by its stream; later ones by the session being closed.
    this.#session.on('error', () => {});
    this.#session.on('goaway', () => this.#session.destroy());
  }

  /** The answer to a call that has one. */
  async call(method: string, request: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    let answer: Uint8Array | undefined;
    await this.stream(
      method,
      request,
      options,
      (message) => {
        answer = message;
      },
      CALL_LIMIT_MS,
    );
    if (answer !== undefined) return answer;
    throw new SystemError(`call "${method}" of "${this.#socketPath}"`, 'no answer');
  }

  /**
   * Calls `onMessage` with each answer; resolves when the server ends the stream with status 0. What comes while
   * `onMessage` waits stays with the server (flow control).
   */
  async stream(
    method: string,
    request: Uint8Array,
    options: CallOptions,
    onMessage: (message: Uint8Array) => void | Promise<void>,
    limitMs = 0,
  ): Promise<void> {
    const operation = `call "${method}" of "${this.#socketPath}"`;
    const { stream, ended } = this.#open(method, options, operation);
    const frames = new GrpcFrames(options.limitBytes);
    const tooLate = () => stream.destroy(new SystemError(operation, 'ETIMEDOUT'));
    const limit = limitMs > 0 ? setTimeout(tooLate, limitMs) : undefined;
    stream.end(encodeGrpcFrame(request));
    try {
      for await (const chunk of stream) {
        for (const message of frames.push(chunk)) await onMessage(message);
      }
      if (!frames.isEmpty) throw new RangeError('a message that ends in its middle');
    } catch (cause) {
      stream.destroy();
      throw asSystemError(cause, operation);
    } finally {
      clearTimeout(limit);
    }
    await ended;
  }

  /** Idempotent; rejects the calls that are under way. */
  close(): void {
    this.#session.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(
    method: string,
    options: CallOptions,
    operation: string,
  ): { readonly stream: ClientHttp2Stream; readonly ended: Promise<void> } {
    if (this.#session.destroyed || this.#session.closed) throw new SystemError(operation, 'ECONNRESET');
    const stream = this.#session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: method,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(options.namespace !== undefined && { 'containerd-namespace': options.namespace }),
    });
    let status = new SystemError(operation, 'no status');
    let isOk = false;
    const take = (headers: Record<string, unknown>) => {
      const code = headers['grpc-status'];
      if (code === undefined) return;
      isOk = code === '0';
      const said = String(headers['grpc-message'] ?? '').slice(0, MAX_MESSAGE_CHARACTERS);
      status = new SystemError(said === '' ? operation : `${operation} (${said})`, statusName(Number(code)));
    };
    stream.on('response', take); // an answer without messages has its status here
    stream.on('trailers', take);
    const ended = new Promise<void>((resolve, reject) => {
      stream.once('close', () => (isOk ? resolve() : reject(status)));
    });
    ended.catch(() => {}); // told by whoever awaits it; a stream that broke is told by its error
    return { stream, ended };
  }
}

/* A stream of a connection that broke is cancelled, and has what broke the connection as its cause. */
function asSystemError(thrown: unknown, operation: string): SystemError {
  if (thrown instanceof SystemError) return thrown;
  if (!(thrown instanceof Error)) return new SystemError(operation, String(thrown));
  const isCancelled = 'code' in thrown && thrown.code === 'ERR_HTTP2_STREAM_CANCEL';
  const first = isCancelled && thrown.cause instanceof Error ? thrown.cause : thrown;
  return new SystemError(operation, 'code' in first ? `${first.code}` : first.message, { cause: thrown });
}

function statusName(code: number): string {
  return STATUS_NAMES.get(code) ?? `gRPC status ${code}`;
}
