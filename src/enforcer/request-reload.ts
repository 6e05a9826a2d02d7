import { SystemError, UsageError } from '../errors.ts';
import { type ReloadRecord, RunDir } from './run-dir.ts';

const ANSWER_LIMIT_MS = 60_000;
const LOOK_MS = 20;

/** Microseconds of the host's monotonic clock, the same in every process. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/**
 * Asks the enforcer of an instance to read its policy again and waits until it has; undefined when no process runs.
 * Throws SystemError when it does not answer; UsageError for that of a `run`, which passes signals on to its command.
 */
export async function requestReload(instance: string): Promise<ReloadRecord | undefined> {
  const run = new RunDir(instance);
  const pid = run.runningPid();
  if (pid === undefined) return undefined;
  if (pid === 0) throw new SystemError('reload an enforcer that runs in another PID namespace', 'ESRCH');
  if (run.readRecord()?.ownCgroup !== undefined)
    throw new UsageError(
      `instance "${instance}" is a command's under run: its policy stays until the command ends`,
    );
  const askedUs = nowUs();
  if (!askProcess(pid)) return undefined;
  const until = performance.now() + ANSWER_LIMIT_MS;
  while (performance.now() < until) {
    const answer = run.readReload();
    // One that had begun before may have read the files as they were then.
    if (answer?.pid === pid && answer.begunUs >= askedUs) return answer;
    if (run.runningPid() !== pid) return undefined;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new SystemError(`reload process ${pid} within ${ANSWER_LIMIT_MS / 1000} s`, 'ETIMEDOUT');
}

function askProcess(pid: number): boolean {
  try {
    process.kill(pid, 'SIGHUP');
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH') return false; // it ended just now
    throw thrown;
  }
}
