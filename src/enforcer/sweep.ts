import { existsSync, readdirSync } from 'node:fs';
import { removeAbandoned, runCgroups } from '../run/own-cgroup.ts';
import { lockStart, RUN_ROOT, RunDir } from './run-dir.ts';
import { takeDown } from './takedown.ts';

/**
 * Removes what runs left behind whose process was killed, as far as nothing is in their cgroups any more: as long as
 * something is, it stays judged. Throws SystemError.
 */
export async function sweepRuns(): Promise<void> {
  await sweepInstances();
  for (const path of runCgroups()) {
    // One with programs on it goes with its instance.
    if (!existsSync(new RunDir(nameOf(path)).path)) removeAbandoned(path);
  }
}

async function sweepInstances(): Promise<void> {
  const names = existsSync(RUN_ROOT) ? readdirSync(RUN_ROOT).filter(isLeft) : [];
  if (names.length === 0) return;
  using _starting = await lockStart(); // else a start of that name would find its lock taken
  for (const name of names) sweep(new RunDir(name), name);
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function isLeft(name: string): boolean {
  const run = new RunDir(name);
  if (run.runningPid() !== undefined) return false;
  const record = run.readRecord();
  if (record) return record.ownCgroup !== undefined;
  // Killed before anything was attached. A record that is not ours to read may speak of what is in force.
  return /^run-\d+$/u.test(name) && !run.hasRecord;
}

function sweep(run: RunDir, name: string): void {
  using lock = run.lock();
  if (!lock || !isStillLeft(run)) return;
  takeDown(name);
  run.remove();
}

function isStillLeft(run: RunDir): boolean {
  const path = run.readRecord()?.ownCgroup;
  return path === undefined ? !run.hasRecord : removeAbandoned(path);
}
