import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { COMMAND_NAMES, COMMANDS } from '../../src/cli/commands.ts';
import { FLAGS } from '../../src/cli/flags.ts';
import { manPage } from '../../src/manual/man-page.ts';
import { roffText, roffUsage } from '../../src/manual/roff.ts';
import { findCheckout } from '../lab/checkout.ts';

const BUILT = join(findCheckout(), 'dist/manual/l7egg-cli.8');
/** Wide enough that no title is broken. */
const WIDE = ['-rLL=200n', '-rLT=200n'];

/* What a reader sees, a space for each stretch of them. */
function shown(page: string): string {
  const { stdout, stderr, status } = spawnSync('groff', ['-ww', '-man', '-Tutf8', '-P-cbou', ...WIDE], {
    input: page,
    encoding: 'utf8',
  });
  assert.deepEqual([status, stderr], [0, '']);
  return stdout.replace(/\s+/gu, ' ');
}

function asShown(text: string): string {
  return text.replaceAll('…', '...').replaceAll("'", '’').replace(/\s+/gu, ' ');
}

describe('manPage', () => {
  test('is taken by groff with all warnings on, and by mandoc, without a word', () => {
    const page = manPage('0.0.0');
    const groff = spawnSync('groff', ['-ww', '-z', '-man', '-Tutf8'], { input: page, encoding: 'utf8' });
    assert.deepEqual([groff.status, groff.stderr], [0, '']);
    const mandoc = spawnSync('mandoc', ['-Tlint', '-Werror'], { input: page, encoding: 'utf8' });
    assert.deepEqual([mandoc.status, mandoc.stdout], [0, '']);
  });

  test('has every command with its usage and meaning', () => {
    const text = shown(manPage('0.0.0')).replaceAll('’', "'").toLowerCase();
    for (const name of COMMAND_NAMES) {
      const { usage, meaning } = COMMANDS[name];
      assert.ok(text.includes(`l7egg-cli ${asShown(usage)} `.toLowerCase()), usage);
      assert.ok(text.includes(asShown(meaning).replaceAll('’', "'").toLowerCase()), meaning);
    }
  });

  test('has every flag with its value and meaning', () => {
    const text = shown(manPage('0.0.0')).replaceAll('’', "'").toLowerCase();
    for (const { name, placeholder, meaning } of FLAGS) {
      const title = `-${name}${placeholder && `=${placeholder}`}`;
      assert.ok(text.includes(` ${title}`.toLowerCase()), title);
      assert.ok(text.includes(asShown(meaning).replaceAll('’', "'").toLowerCase()), meaning);
    }
  });

  test('is what was built, with the version of the program', () => {
    const built = readFileSync(BUILT, 'utf8');
    const [, version = ''] = /"l7egg ([\d.]+)"/u.exec(built) ?? [];
    assert.match(version, /^\d+\.\d+\.\d+$/u);
    assert.equal(built, manPage(version));
  });
});

describe('roffText', () => {
  const rows: readonly (readonly [text: string, roff: string])[] = [
    ['a\\b', 'a\\eb'],
    ['.SH no request', '\\&.SH no request'],
    ["'so neither", '\\(aqso neither'],
    ['use `-dns=open`', 'use \\fB\\-dns=open\\fR'],
    ['well-known', 'well-known'],
  ];
  for (const [text, roff] of rows) test(text, () => assert.equal(roffText(text), roff));
});

test('roffUsage: what is typed is bold, what is filled in italic', () => {
  assert.equal(
    roffUsage('status [-json] | show NAME'),
    '\\fBstatus\\fR [\\fB\\-json\\fR] | \\fBshow\\fR \\fINAME\\fR',
  );
});
