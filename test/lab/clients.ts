import { fileURLToPath } from 'node:url';
import type { RunResult } from './command.ts';
import type { FirstPacketPlan, FirstPacketReport } from './first-packet.ts';
import type { Namespace } from './namespace.ts';
import { patient } from './wait.ts';

/** What one curl transfer came to. `exitCode` is curl's: 0 done, 6 no name, 7 refused, 28 too late. */
export interface Fetched {
  readonly url: string;
  readonly exitCode: number;
  readonly httpCode: number;
  readonly remoteAddress: string;
  /** From the start to the end of the transfer, name look-up included. */
  readonly totalMs: number;
  readonly connectMs: number;
  readonly error: string;
}

/** One transfer with its body; `ms` is the wall time of the whole command. */
export interface FetchedBody extends Fetched {
  readonly body: string;
  readonly ms: number;
}

/** Where a client can be started: a namespace, or a cgroup in it. */
export type Place = Pick<Namespace, 'runAsync'>;

/** The part of curl's `%{json}` that is used (curl(1), --write-out). */
interface CurlTransfer {
  readonly url: string;
  readonly exitcode: number;
  readonly http_code: number;
  readonly remote_ip: string;
  readonly time_total: number;
  readonly time_connect: number;
  readonly errormsg: string | null;
}

/** What a client may be told. */
export interface FetchOptions {
  readonly limitMs?: number;
  readonly args?: readonly string[];
}

const FETCH_LIMIT_MS = 5_000;
const MARK = '\nl7t-transfer ';

/** GETs `url` by one curl, with no retry and no proxy. */
export async function curl(place: Place, url: string, options: FetchOptions = {}): Promise<FetchedBody> {
  const { limitMs = FETCH_LIMIT_MS, args = [] } = options;
  const words = ['-sS', '-g', '-q', '-m', `${patient(limitMs) / 1000}`, '-w', `${MARK}%{json}`, ...args, url];
  const done = await place.runAsync('curl', words, { timeoutMs: limitMs + 5_000 });
  const [transfer] = parseTransfers(done);
  if (transfer === undefined)
    throw new Error(`Cannot read what curl wrote for "${url}": ${done.stdout}${done.stderr}`);
  return { ...transfer, body: done.stdout.slice(0, done.stdout.lastIndexOf(MARK)).trimEnd(), ms: done.ms };
}

/** GETs all `urls` at once by one curl, at most 50 at a time; results in the order in which they ended. */
export async function curlMany(
  place: Place,
  urls: readonly string[],
  options: FetchOptions = {},
): Promise<readonly Fetched[]> {
  const { limitMs = FETCH_LIMIT_MS, args = [] } = options;
  const list = urls.map((url) => `url = "${url}"\noutput = "/dev/null"\n`).join('');
  const words = [
    '-sS',
    '-g',
    '-q',
    '-Z',
    '--parallel-immediate',
    '-m',
    `${patient(limitMs) / 1000}`,
    '-w',
    `${MARK}%{json}\n`,
  ];
  const done = await place.runAsync('curl', [...words, ...args, '-K', '-'], {
    input: list,
    timeoutMs: limitMs * (1 + urls.length / 50) + 5_000,
  });
  const transfers = parseTransfers(done);
  if (transfers.length === urls.length) return transfers;
  throw new Error(
    `Cannot read what curl wrote: ${transfers.length} of ${urls.length} transfers\n${done.stderr}`,
  );
}

/** Runs dig with one try and a limit of 2 s; `extra` words come last and win. */
export function dig(namespace: Namespace, server: string, words: readonly string[]): RunResult {
  return namespace.run('dig', [`@${server}`, '+time=2', '+tries=1', ...words]);
}

/** The answer section's values, one a line, in the server's order; empty when there are none. */
export function digShort(namespace: Namespace, server: string, words: readonly string[]): readonly string[] {
  return dig(namespace, server, ['+short', ...words])
    .stdout.split('\n')
    .filter((line) => line !== '' && !line.startsWith(';'));
}

/** Looks fresh names up and connects at the moment of each answer, by a child process in `place`. */
export async function connectAtFirstPacket(
  place: Place,
  plan: FirstPacketPlan,
  timeoutMs = 120_000,
): Promise<FirstPacketReport> {
  const program = fileURLToPath(new URL('./first-packet-client.js', import.meta.url));
  const done = await place.runAsync(process.execPath, [program], {
    input: JSON.stringify(plan),
    timeoutMs,
  });
  if (done.code !== 0)
    throw new Error(`Cannot finish the first-packet client: exit code ${done.code}\n${done.stderr}`);
  const report: FirstPacketReport = JSON.parse(done.stdout);
  return report;
}

function parseTransfers(done: RunResult): readonly Fetched[] {
  return done.stdout
    .split('\n')
    .filter((line) => line.startsWith(MARK.trimStart()))
    .map((line) => {
      const transfer: CurlTransfer = JSON.parse(line.slice(MARK.length - 1));
      return {
        url: transfer.url,
        exitCode: transfer.exitcode,
        httpCode: transfer.http_code,
        remoteAddress: transfer.remote_ip,
        totalMs: transfer.time_total * 1000,
        connectMs: transfer.time_connect * 1000,
        error: transfer.errormsg ?? '',
      };
    });
}
