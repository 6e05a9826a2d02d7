import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { patient } from './wait.ts';

/** What may be said about one command. `env` is added to a small clean environment, not to this process's own. */
export interface RunOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** How a command ended: 128 + n for signal n, 124 when it was killed at its time limit. */
export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** A program and its arguments. */
export type Argv = readonly [string, ...string[]];

const RUN_LIMIT_MS = 20_000;
const MAX_OUTPUT = 64 << 20;

/** No proxies and no marks of the test runner: a child must not know who started it. */
export function cleanEnvironment(added: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = '', HOME = '/root' } = process.env;
  return { PATH: `${PATH}:/usr/sbin:/sbin`, HOME, LANG: 'C.UTF-8', ...added };
}

function exitCode(code: number | null, signal: NodeJS.Signals | null): number {
  if (code !== null) return code;
  return signal === null ? 255 : 128 + constants.signals[signal];
}

/** Runs a command to its end and holds up this process meanwhile; throws only when it can't be started. */
export function runCommand(argv: Argv, options: RunOptions = {}): RunResult {
  const [program, ...args] = argv;
  const started = performance.now();
  const done = spawnSync(program, args, {
    encoding: 'utf8',
    env: cleanEnvironment(options.env),
    timeout: patient(options.timeoutMs ?? RUN_LIMIT_MS),
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT,
    input: options.input ?? '',
  });
  const timedOut = done.error !== undefined && 'code' in done.error && done.error.code === 'ETIMEDOUT';
  if (done.error !== undefined && !timedOut) throw done.error;
  return {
    code: timedOut ? 124 : exitCode(done.status, done.signal),
    stdout: done.stdout,
    stderr: done.stderr,
    ms: performance.now() - started,
  };
}

/** As `runCommand`, but this process goes on meanwhile; rejects when `signal` aborts, which kills the command. */
export function runCommandAsync(argv: Argv, options: RunOptions, signal: AbortSignal): Promise<RunResult> {
  const [program, ...args] = argv;
  const started = performance.now();
  const child = spawn(program, args, {
    env: cleanEnvironment(options.env),
    stdio: 'pipe',
    signal,
    killSignal: 'SIGKILL',
  });
  let timedOut = false;
  const limit = setTimeout(
    () => {
      timedOut = true;
      child.kill('SIGKILL');
    },
    patient(options.timeoutMs ?? RUN_LIMIT_MS),
  );
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => {}); // EPIPE: it ended without reading, and its exit code says why
  child.stdin.end(options.input ?? '');
  return new Promise<RunResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killedBy) =>
      resolve({
        code: timedOut ? 124 : exitCode(code, killedBy),
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
        ms: performance.now() - started,
      }),
    );
  }).finally(() => clearTimeout(limit));
}

/** Runs a command that has to succeed: returns its stdout, throws with what it wrote when its exit code is not 0. */
export function mustRun(argv: Argv, options: RunOptions = {}): string {
  const done = runCommand(argv, options);
  if (done.code === 0) return done.stdout;
  throw new Error(
    `Cannot run "${argv.join(' ')}": exit code ${done.code}\n${done.stdout}${done.stderr}${options.input ?? ''}`,
  );
}
