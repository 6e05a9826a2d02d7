import { FLAGS } from './cli/flags.ts';
import { normaliseArgs } from './cli/normalise.ts';
import { type Options, parseOptions } from './cli/options.ts';
import { RemarkWriter } from './cli/remarks.ts';
import { VERSION } from './cli/version.ts';
import {
  LockoutError,
  messageLines,
  PolicyFileError,
  SystemError,
  TakenError,
  UnsupportedError,
  UsageError,
} from './errors.ts';

import { tooOldKernel } from './libbpf/kernel-release.ts';

const EXIT = { done: 0, failed: 1, usage: 2, unsupported: 3, lockout: 4 } as const;

async function run(options: Options): Promise<number> {
  switch (options.command) {
    case 'version':
      process.stdout.write(`l7egg-cli ${VERSION}\n`);
      return EXIT.done;
    case 'enforce':
      return (await import('./cli/enforce.ts')).runEnforce(options);
    case 'run':
      // At once: on its way to an end by itself node gives signals their default back, and one would be our end.
      return process.exit(await (await import('./cli/run.ts')).runCommand(options));
    default:
      return (await import('./cli/ask.ts')).runAsking(options);
  }
}

function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof UsageError) return EXIT.usage;
  if (thrown instanceof UnsupportedError) return EXIT.unsupported;
  if (thrown instanceof LockoutError) return EXIT.lockout;
  if (isRefusedByHost(thrown)) return EXIT.unsupported;
  return EXIT.failed;
}

/* Where the kernel is too old, one call or another fails: what is missing is another kernel. */
function explained(thrown: unknown): unknown {
  const missing = thrown instanceof SystemError ? tooOldKernel() : undefined;
  if (missing === undefined) return thrown;
  const [failure = ''] = messageLines(thrown);
  return new UnsupportedError(`${failure}: ${missing}`, { cause: thrown });
}

/* A file or call that only root may use. */
function isRefusedByHost(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && (thrown.code === 'EACCES' || thrown.code === 'EPERM');
}

/* Errors that we made are sentences; of others the stack is what helps. */
function describe(thrown: unknown): readonly string[] {
  if (!(thrown instanceof Error)) return messageLines(thrown);
  const isOurs = [UsageError, UnsupportedError, LockoutError, TakenError, SystemError].some(
    (kind) => thrown instanceof kind,
  );
  if (isRefusedByHost(thrown)) return [`${thrown.message}; this needs root: run it with sudo`];
  if (isOurs || 'code' in thrown) return messageLines(thrown);
  return (thrown.stack ?? thrown.message).split('\n');
}

/*
 * A reader that went away (EPIPE) has what it wanted. Any other failure of stdout is said once; nothing
 * that happens to an output ends an enforcer.
 */
function guardOutputs(): void {
  let isSaid = false;
  process.stdout.on('error', (failure: NodeJS.ErrnoException) => {
    if (failure.code === 'EPIPE' || isSaid) return;
    isSaid = true;
    new RemarkWriter().remark(`l7egg-cli: Cannot write to stdout: ${failure.code}`, 'error');
    process.exitCode = EXIT.failed;
  });
  process.stderr.on('error', () => {});
}

async function main(): Promise<void> {
  guardOutputs();
  try {
    const code = await run(parseOptions(normaliseArgs(process.argv.slice(2), FLAGS)));
    process.exitCode ||= code; // an output may have failed meanwhile
  } catch (cause) {
    const thrown = explained(cause);
    // Editors find the place of an error by what its line begins with.
    const title = thrown instanceof PolicyFileError ? '' : 'l7egg-cli: ';
    const [first = '', ...others] = describe(thrown);
    new RemarkWriter().remark([`${title}${first}`, ...others], 'error');
    process.exitCode = exitCodeOf(thrown);
  }
}

void main();
