import { createConnection } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { SystemError } from '../errors.ts';
import { LineCutter } from './frames.ts';

/** How long the enforcer may take to its first line. */
const ANSWER_LIMIT_MS = 10_000;

/**
 * Asks the process behind a control socket; answers the lines that it sends behind its `ok`, as they come, until it
 * ends. Undefined when no process serves the socket. Throws SystemError EPROTO with what it said where it refuses, and
 * ETIMEDOUT where it does not answer. `signal` ends the connection, and with it the lines.
 */
export async function askControl(
  path: string,
  request: object,
  signal?: AbortSignal,
): Promise<AsyncIterable<string> | undefined> {
  const lines = readLines(path, `${JSON.stringify(request)}\n`, signal)[Symbol.asyncIterator]();
  const over = new AbortController();
  let first: IteratorResult<string>;
  try {
    first = await Promise.race([
      lines.next(),
      pause(ANSWER_LIMIT_MS, undefined, { signal: over.signal }).then(() => {
        throw new SystemError(
          `have an answer from "${path}" within ${ANSWER_LIMIT_MS / 1000} s`,
          'ETIMEDOUT',
        );
      }),
    ]);
  } catch (thrown) {
    void lines.return?.();
    if (hasCode(thrown, ['ENOENT', 'ECONNREFUSED'])) return undefined;
    throw thrown;
  } finally {
    over.abort();
  }
  if (first.done) return undefined; // it ended just now
  checkHead(first.value);
  return { [Symbol.asyncIterator]: () => lines };
}

async function* readLines(
  path: string,
  request: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void> {
  const socket = createConnection(path);
  const close = () => socket.destroy();
  signal?.addEventListener('abort', close, { once: true });
  try {
    socket.setEncoding('utf8');
    socket.write(request);
    const cutter = new LineCutter();
    for await (const text of socket) yield* cutter.push(String(text));
  } catch (thrown) {
    // ECONNRESET: the process was killed. What it had sent was read.
    if (!signal?.aborted && !hasCode(thrown, ['ECONNRESET', 'EPIPE'])) throw thrown;
  } finally {
    signal?.removeEventListener('abort', close);
    socket.destroy();
  }
}

function checkHead(line: string): void {
  const head: unknown = JSON.parse(line);
  if (typeof head === 'object' && head !== null && 'ok' in head && head.ok === true) return;
  const error = typeof head === 'object' && head !== null && 'error' in head ? head.error : line;
  throw new SystemError(`be answered: ${String(error)}`, 'EPROTO');
}

function hasCode(thrown: unknown, codes: readonly string[]): boolean {
  return thrown instanceof Error && 'code' in thrown && codes.includes(String(thrown.code));
}
