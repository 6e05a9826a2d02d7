import { SystemError } from '../errors.ts';
import { type ReloadRecord, RunDir } from './run-dir.ts';

const ANSWER_LIMIT_MS = 60_000;
const LOOK_MS = 20;

/**
 * Asks the enforcer of an instance to read its policy again and waits until it has; undefined when no process runs.
 * Throws SystemError when it does not answer.
 */
export async function requestReload(instance: string): Promise<ReloadRecord | undefined> {
  const run = new RunDir(instance);
  const pid = run.runningPid();
  if (pid === undefined) return undefined;
  if (pid === 0) throw new SystemError('reload an enforcer that runs in another PID namespace', 'ESRCH');
  const before = run.readReload();
  process.kill(pid, 'SIGHUP');
  const until = Date.now() + ANSWER_LIMIT_MS;
  while (Date.now() < until) {
    const answer = run.readReload();
    const isNew = answer?.pid === pid && (before?.pid !== pid || answer.count !== before.count);
    if (isNew) return answer;
    if (run.runningPid() !== pid) return undefined;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new SystemError(`reload process ${pid} within ${ANSWER_LIMIT_MS / 1000} s`, 'ETIMEDOUT');
}
