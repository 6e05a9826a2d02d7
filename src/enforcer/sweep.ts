import { existsSync, readdirSync } from 'node:fs';
import { RUN_ROOT, RunDir } from './run-dir.ts';
import { takeDown } from './takedown.ts';

/**
 * Removes what runs left behind whose process was killed and whose cgroup is gone since: nothing of them judges
 * anybody any more.
 */
export function sweepRuns(): void {
  if (!existsSync(RUN_ROOT)) return;
  for (const name of readdirSync(RUN_ROOT).filter((each) => /^run-\d+$/u.test(each))) {
    const run = new RunDir(name);
    if (run.runningPid() !== undefined) continue;
    const cgroups = run.readRecord()?.cgroups ?? [];
    if (cgroups.length === 0 || cgroups.some(({ path }) => existsSync(path))) continue;
    using lock = run.lock();
    if (!lock) continue; // somebody starts it just now
    takeDown(name);
    run.remove();
  }
}
