import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LAB_NAME = /^l7t-(\d+)-\d+-/;

/** Names in `directory` that a lab made whose process has ended. */
function leftIn(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory).filter((name) => {
    const pid = LAB_NAME.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });
}

/**
 * Removes namespaces and directories of labs that were killed before they could clean up.
 * Their programs died with them (`setpriv --pdeathsig`), so nothing of a live lab is touched.
 */
export function sweepDeadLabs(): void {
  for (const name of leftIn('/run/netns')) spawnSync('ip', ['netns', 'del', name]);
  for (const name of leftIn(tmpdir())) rmSync(join(tmpdir(), name), { recursive: true, force: true });
}
