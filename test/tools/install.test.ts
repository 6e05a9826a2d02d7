import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { findCheckout } from '../lab/checkout.ts';

const LIMIT_MS = 120_000;
const WORDS = [
  'share/man/man8/l7egg-cli.8',
  'share/bash-completion/completions/l7egg-cli',
  'share/zsh/site-functions/_l7egg-cli',
  'share/fish/vendor_completions.d/l7egg-cli.fish',
];

describe('make install', () => {
  const root = mkdtempSync(join(tmpdir(), 'l7egg-install-'));
  after(() => rmSync(root, { recursive: true, force: true }));

  function make(target: string, prefix: string): void {
    const args = ['-s', '-C', findCheckout(), target, `DESTDIR=${root}`, `PREFIX=${prefix}`];
    execFileSync('make', args, { timeout: LIMIT_MS, stdio: ['ignore', 'ignore', 'inherit'] });
  }

  for (const prefix of ['/usr', '/opt/l7egg']) {
    test(`puts the man page and completions below ${prefix}, and uninstall takes them away`, () => {
      make('install', prefix);
      for (const path of WORDS) assert.ok(existsSync(join(root, prefix, path)), path);
      const page = readFileSync(join(root, prefix, 'share/man/man8/l7egg-cli.8'), 'utf8');
      assert.ok(page.includes(`${prefix}/lib/l7egg/tc`) && !page.includes('/usr/local'));
      const cli = join(root, prefix, 'bin/l7egg-cli');
      assert.match(
        execFileSync(cli, ['completion', 'bash'], { encoding: 'utf8' }),
        /^complete -F _l7egg_cli l7egg-cli$/mu,
      );
      make('uninstall', prefix);
      const left = readdirSync(join(root, prefix), { recursive: true, withFileTypes: true });
      assert.deepEqual(
        left.filter((each) => !each.isDirectory()).map(({ name }) => name),
        [],
      );
    });
  }
});
