import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judgeTap, type Part } from './parts.ts';

/** Judges what test/systemd/probe.sh answered in a guest as the test of the unit does, which is run here for that. */
export function judgeUnit(checkout: string): Part['judge'] {
  return ({ code, output }) => {
    const work = mkdtempSync(join(tmpdir(), 'l7egg-unit-'));
    try {
      const seen = join(work, 'seen');
      writeFileSync(seen, output);
      const test = join(checkout, 'build/test/systemd/unit.root.test.js');
      const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', test], {
        encoding: 'utf8',
        env: { ...process.env, L7EGG_UNIT_SEEN: seen },
        maxBuffer: 64 << 20,
      });
      const judgement = judgeTap({ code: status ?? 1, output: stdout });
      const missed = [...stdout.matchAll(/^ *not ok \d+ - (.*)$/gmu)].map(
        ([, name = '']) => `not seen: ${name}`,
      );
      return { ...judgement, passed: judgement.passed && code === 0, said: missed };
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  };
}
