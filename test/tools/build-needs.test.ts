import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findCheckout } from '../lab/checkout.ts';

const copy = mkdtempSync(join(tmpdir(), 'l7egg-build-'));
after(() => rmSync(copy, { recursive: true }));
for (const part of ['Makefile', 'bpf', 'src'])
  cpSync(join(findCheckout(), part), join(copy, part), { recursive: true });

function make(path: string, ...targets: readonly string[]): { code: number | null; stderr: string } {
  const { status, stderr } = spawnSync('/usr/bin/make', ['-s', ...targets], {
    cwd: copy,
    encoding: 'utf8',
    env: { PATH: path },
  });
  return { code: status, stderr };
}

test('without clang a build ends, says how to get it, and leaves no object; with it there is one', () => {
  const empty = join(copy, 'empty');
  mkdirSync(empty);
  for (const target of ['dist/l7egg.bpf.o', 'dist/l7egg-confine']) {
    const { code, stderr } = make(empty, target);
    assert.equal(code, 2, target);
    assert.match(stderr, /^Cannot find clang.*: run `sudo make setup`\.$/mu);
    assert.equal(existsSync(join(copy, target)), false);
  }
  const done = make('/usr/bin:/bin', 'dist/l7egg.bpf.o');
  assert.equal(done.code, 0, done.stderr);
  assert.ok(existsSync(join(copy, 'dist/l7egg.bpf.o')));
});
