import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

const MAIN = 'process.stdout.write(JSON.stringify({ pid: process.pid, args: process.argv.slice(2) }));';
const directory = mkdtempSync(join(tmpdir(), 'l7egg-launcher-'));
after(() => rmSync(directory, { recursive: true }));

/** A tree with the launcher in bin/, and a program at `main` when one is given. */
function makeTree(name: string, main?: string): string {
  const root = join(directory, name);
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync('bin/l7egg-cli', join(root, 'bin/l7egg-cli'));
  if (main !== undefined) {
    mkdirSync(join(root, main, '..'), { recursive: true });
    writeFileSync(join(root, main), MAIN);
  }
  return join(root, 'bin/l7egg-cli');
}

describe('l7egg-cli runs', () => {
  const checkout = makeTree('checkout', 'dist/l7egg-cli.cjs');
  const installed = makeTree('installed', 'lib/l7egg/l7egg-cli.cjs');
  const absolute = join(directory, 'absolute');
  const chained = join(directory, 'chained');
  symlinkSync(checkout, absolute);
  symlinkSync('absolute', chained);

  for (const [what, command] of Object.entries({ checkout, installed, absolute, chained })) {
    test(`${what}: as the pid that was started, with its arguments untouched`, async () => {
      const child = spawn(command, ['-cn=*.x y', '--', '', '$HOME'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      await once(child, 'close');
      assert.deepEqual(JSON.parse(stdout), { pid: child.pid, args: ['-cn=*.x y', '--', '', '$HOME'] });
    });
  }

  test('from a relative path', () => {
    const { status } = spawnSync('sh', ['l7egg-cli'], { cwd: join(checkout, '..') });
    assert.equal(status, 0);
  });
});

describe('l7egg-cli refuses with exit 3 and one sentence', () => {
  const built = makeTree('built', 'dist/l7egg-cli.cjs');
  const rows: readonly (readonly [what: string, command: string, path: string | undefined, said: RegExp])[] =
    [
      ['a checkout that is not built', makeTree('bare'), process.env.PATH, /run `make`/],
      ['a PATH without node', built, '/nowhere', /node in PATH "\/nowhere"/],
    ];
  for (const [what, command, path, said] of rows) {
    test(what, () => {
      const { status, stdout, stderr } = spawnSync('/bin/sh', [command], {
        encoding: 'utf8',
        env: { PATH: path },
      });
      assert.equal(status, 3);
      assert.equal(stdout, '');
      assert.match(stderr, said);
      assert.match(stderr, /^l7egg-cli: [^\n]+\.\n$/);
    });
  }
});
