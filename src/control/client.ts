import { createConnection } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { SystemError } from '../errors.ts';
import { LineCutter } from './frames.ts';

/** How long the enforcer may take to its first line. */
const ANSWER_LIMIT_MS = 10_000;
/** The errno of an answer that ended before it was whole: the process was killed. */
export const CUT_SHORT = 'ECONNABORTED';

/**
 * Asks the process behind a control socket; answers the lines that it sends behind its `ok`, as they come, until it
 * has sent all. Undefined when no process serves the socket. Throws SystemError EPROTO with what it said where it
 * refuses, and ETIMEDOUT where it does not answer; the lines throw SystemError `CUT_SHORT` where it dies before it has
 * sent all. `signal` ends the connection, and with it the lines.
 */
export async function askControl(
  path: string,
  request: object,
  signal?: AbortSignal,
): Promise<AsyncIterable<string> | undefined> {
  const pieces = await askControlInPieces(path, request, signal);
  return pieces && linesOf(pieces);
}

/** As `askControl`, with the lines that came together in one piece: of many lines each costs less. */
export async function askControlInPieces(
  path: string,
  request: object,
  signal?: AbortSignal,
): Promise<AsyncIterable<readonly string[]> | undefined> {
  const pieces = readPieces(path, `${JSON.stringify(request)}\n`, signal)[Symbol.asyncIterator]();
  const over = new AbortController();
  let first: IteratorResult<readonly string[]>;
  try {
    first = await Promise.race([
      pieces.next(),
      pause(ANSWER_LIMIT_MS, undefined, { signal: over.signal }).then(() => {
        throw new SystemError(
          `have an answer from "${path}" within ${ANSWER_LIMIT_MS / 1000} s`,
          'ETIMEDOUT',
        );
      }),
    ]);
  } catch (thrown) {
    void pieces.return?.();
    // Nobody listens, or who did has ended just now.
    if (hasCode(thrown, ['ENOENT', 'ECONNREFUSED', CUT_SHORT])) return undefined;
    throw thrown;
  } finally {
    over.abort();
  }
  if (first.done) return undefined;
  const [head = '', ...rest] = first.value;
  checkHead(head);
  return withFirst(rest, pieces);
}

/** The lines of pieces, one by one. */
async function* linesOf(pieces: AsyncIterable<readonly string[]>): AsyncGenerator<string, void> {
  for await (const lines of pieces) yield* lines;
}

async function* withFirst(
  first: readonly string[],
  others: AsyncIterator<readonly string[]>,
): AsyncGenerator<readonly string[], void> {
  if (first.length > 0) yield first;
  yield* { [Symbol.asyncIterator]: () => others };
}

async function* readPieces(
  path: string,
  request: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly string[], void> {
  if (signal?.aborted) return;
  const socket = createConnection(path);
  const close = () => socket.destroy();
  signal?.addEventListener('abort', close, { once: true });
  try {
    socket.setEncoding('utf8');
    socket.write(request);
    const cutter = new LineCutter();
    for await (const text of socket) {
      const lines = cutter.push(String(text));
      const end = lines.indexOf('');
      const piece = end < 0 ? lines : lines.slice(0, end);
      if (piece.length > 0) yield piece;
      if (end >= 0) return; // that was all
    }
  } catch (thrown) {
    if (!signal?.aborted && !hasCode(thrown, ['ECONNRESET', 'EPIPE'])) throw thrown;
  } finally {
    signal?.removeEventListener('abort', close);
    socket.destroy();
  }
  if (!signal?.aborted) throw new SystemError(`have the whole answer from "${path}"`, CUT_SHORT);
}

function checkHead(line: string): void {
  const head = parseHead(line);
  if (typeof head === 'object' && head !== null && 'ok' in head && head.ok === true) return;
  const error = typeof head === 'object' && head !== null && 'error' in head ? head.error : line;
  throw new SystemError(`have an answer: ${String(error)}`, 'EPROTO');
}

function parseHead(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // then the line is what was said
  }
}

function hasCode(thrown: unknown, codes: readonly string[]): boolean {
  return thrown instanceof Error && 'code' in thrown && codes.includes(String(thrown.code));
}
