import { SystemError } from '../errors.ts';
import { endCgroup } from '../run/own-cgroup.ts';
import { requirePins } from './bpffs.ts';
import { RunDir } from './run-dir.ts';
import { type Removed, takeDown } from './takedown.ts';

const END_LIMIT_MS = 15_000;
const LOOK_MS = 20;

/** What `stop` and `clean` did. */
export interface Ended {
  /** The process that was ended. */
  readonly pid: number | undefined;
  readonly removed: Removed;
}

/** Ends the enforcer of an instance, as SIGTERM does, and cleans where no process does it. Throws SystemError. */
export function stopInstance(instance: string): Promise<Ended> {
  return endInstance(instance, ['SIGTERM']);
}

/** Removes all of an instance, running or not: a process that does not answer is killed. Throws SystemError. */
export function cleanInstance(instance: string): Promise<Ended> {
  return endInstance(instance, ['SIGTERM', 'SIGKILL']);
}

async function endInstance(instance: string, signals: readonly NodeJS.Signals[]): Promise<Ended> {
  requirePins();
  const run = new RunDir(instance);
  const pid = run.runningPid();
  if (pid !== undefined) await endProcess(run, pid, signals);
  using lock = run.lock();
  // Somebody has started it anew meanwhile: that one was not meant.
  if (!lock) return { pid, removed: { hooks: 0, cgroups: 0, pins: false } };
  // What runs in it was never to run without its policy.
  const ownCgroup = run.readRecord()?.ownCgroup;
  if (ownCgroup !== undefined) await endCgroup(ownCgroup);
  const removed = takeDown(instance);
  run.remove();
  return { pid, removed };
}

async function endProcess(run: RunDir, pid: number, signals: readonly NodeJS.Signals[]): Promise<void> {
  if (pid === 0) throw new SystemError('end an enforcer that runs in another PID namespace', 'ESRCH');
  for (const signal of signals) {
    send(pid, signal);
    const until = performance.now() + END_LIMIT_MS;
    while (performance.now() < until) {
      if (run.runningPid() !== pid) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
  throw new SystemError(`end process ${pid} within ${END_LIMIT_MS / 1000} s`, 'ETIMEDOUT');
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (thrown) {
    // ESRCH: it ended by itself meanwhile.
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ESRCH')) throw thrown;
  }
}
