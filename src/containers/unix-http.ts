import { type IncomingMessage, request } from 'node:http';
import { SystemError } from '../errors.ts';

/* Docker keeps a container locked while it starts or stops, and does not answer about it meanwhile. */
const CALL_LIMIT_MS = 30_000;
const MAX_SAID_BYTES = 4 << 10;

/** The JSON that a GET of `path` from the server behind a unix socket answers. Throws SystemError; its code is HTTP's status or an errno. */
export async function getJson(
  socketPath: string,
  path: string,
  limitBytes: number,
  signal: AbortSignal,
): Promise<unknown> {
  const operation = `get "${path}" from "${socketPath}"`;
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(CALL_LIMIT_MS)]);
  try {
    const response = await open(socketPath, path, operation, inTime);
    return JSON.parse(await readText(response, limitBytes));
  } catch (cause) {
    throw asSystemError(cause, operation);
  }
}

/**
 * Calls `onLine` with each line that a GET of `path` answers, `onOpen` once it begins to; resolves at its end. What
 * comes while `onLine` waits stays with the server. Throws SystemError, also for a line longer than `limitBytes`.
 */
export async function followLines(
  socketPath: string,
  path: string,
  limitBytes: number,
  signal: AbortSignal,
  onOpen: () => void,
  onLine: (line: string) => Promise<void>,
): Promise<void> {
  const operation = `follow "${path}" of "${socketPath}"`;
  try {
    const response = await open(socketPath, path, operation, signal);
    onOpen();
    const lines = new Lines(limitBytes);
    for await (const chunk of response) for (const line of lines.push(chunk)) await onLine(line);
  } catch (cause) {
    throw asSystemError(cause, operation);
  }
}

/** Cuts bytes into lines as they come. */
export class Lines {
  readonly #limitBytes: number;
  #rest: Buffer[] = [];
  #held = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** The lines that are whole with `chunk`, without empty ones. Throws RangeError for one that is too long. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      this.#hold(chunk.subarray(from, at));
      const line = Buffer.concat(this.#rest).toString('utf8').trim();
      if (line !== '') lines.push(line);
      this.#rest = [];
      this.#held = 0;
      from = at + 1;
    }
    this.#hold(chunk.subarray(from));
    return lines;
  }

  #hold(part: Buffer): void {
    this.#held += part.length;
    if (this.#held > this.#limitBytes) throw new RangeError(`a line of more than ${this.#limitBytes} bytes`);
    if (part.length > 0) this.#rest.push(part);
  }
}

async function open(
  socketPath: string,
  path: string,
  operation: string,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // A connection of its own for each: there are few calls, and none then waits behind another.
    const sent = request({ socketPath, path, signal, agent: false, headers: { host: 'localhost' } }, resolve);
    sent.on('error', reject);
    sent.end();
  });
  if (response.statusCode === 200) return response;
  const said = await readText(response, MAX_SAID_BYTES).catch(() => ''); // the status says enough
  throw new SystemError(said === '' ? operation : `${operation} (${said.trim()})`, `${response.statusCode}`);
}

async function readText(response: IncomingMessage, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > limitBytes) throw new RangeError(`an answer of more than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function asSystemError(thrown: unknown, operation: string): SystemError {
  if (thrown instanceof SystemError) return thrown;
  if (thrown instanceof Error && thrown.name === 'TimeoutError')
    return new SystemError(operation, 'ETIMEDOUT');
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (cause instanceof Error && cause.name === 'TimeoutError') return new SystemError(operation, 'ETIMEDOUT');
  const code = thrown instanceof Error ? ('code' in thrown ? `${thrown.code}` : thrown.message) : `${thrown}`;
  return new SystemError(operation, code, { cause: thrown });
}
