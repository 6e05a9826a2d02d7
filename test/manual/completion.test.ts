import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { COMMAND_NAMES } from '../../src/cli/commands.ts';
import { FLAGS } from '../../src/cli/flags.ts';
import { findCli } from '../lab/checkout.ts';
import { must } from './must.ts';
import { Scripts, SHELLS } from './shells.ts';

const files = mkdtempSync(join(tmpdir(), 'l7egg-files-'));
writeFileSync(join(files, 'one.yaml'), '');
writeFileSync(join(files, 'two.yaml'), '');
mkdirSync(join(files, 'sub'));

/** A line, what completes it, and from which of its characters on; `undefined`: nothing does. */
const ROWS: readonly (readonly [line: string, becomes: string | undefined])[] = [
  ['stat', 'status'],
  ['explai', 'explain'],
  ['status -js', 'status -json'],
  ['status --js', 'status --json'],
  ['-cid', '-cidr='],
  ['--cid', '--cidr='],
  ['run -summar', 'run -summary-md='],
  ['status -cid', undefined],
  ['check -summar', undefined],
  ['run -fail', 'run -fail-on-blocked'],
  ['-dns=st', '-dns=strict'],
  ['--dns=st', '--dns=strict'],
  ['-dns st', '-dns strict'],
  ['-log=js', '-log=json'],
  ['run -audit -dns=op', 'run -audit -dns=open'],
  ['-instance=x status -js', '-instance=x status -json'],
  ['-instance x status -js', '-instance x status -json'],
  ['-iface=l', '-iface=lo'],
  ['-eface lo,l', '-eface lo,lo'],
  ['-eface=lo,l', '-eface=lo,lo'],
  ['-preset=pyp', '-preset=pypi'],
  ['run -preset=npm,pyp', 'run -preset=npm,pypi'],
  ['presets sh', 'presets show'],
  ['presets show pyp', 'presets show pypi'],
  ['completion fi', 'completion fish'],
  ['help explai', 'help explain'],
  ['help al', 'help all'],
  [`check -policy=${files}/on`, `check -policy=${files}/one.yaml`],
  [`check -policy ${files}/on`, `check -policy ${files}/one.yaml`],
  [`check -policy ${files}/one.yaml,${files}/tw`, `check -policy ${files}/one.yaml,${files}/two.yaml`],
  ['run -name=a -- base3', 'run -name=a -- base32'],
  [`run -- cat ${files}/on`, `run -- cat ${files}/one.yaml`],
  ['run -- cat -js', undefined],
  ['status -- -js', undefined],
  ['presets show pypi pyp', undefined],
];

describe('completion', () => {
  let scripts: Scripts;
  before(() => {
    scripts = new Scripts();
  });
  after(() => {
    scripts[Symbol.dispose]();
    rmSync(files, { recursive: true });
  });

  for (const shell of SHELLS) {
    describe(`in ${shell}`, () => {
      let offered: readonly (readonly string[])[];
      before(() => {
        offered = scripts.offers(
          shell,
          ROWS.map(([line]) => `l7egg-cli ${line}`),
        );
      });
      for (const [index, [line, becomes]] of ROWS.entries())
        test(`"${line}" → ${becomes ?? 'nothing'}`, () => {
          const wanted = becomes === undefined ? [] : [becomes];
          assert.deepEqual(offered[index]?.map((each) => lineWith(line, each)).filter(notAsIs(line)), wanted);
        });
    });
  }

  test('in bash at a prompt: readline puts the rest of a word where it belongs', () => {
    const lines = ['-dns=st', '--eface=lo,l', '-preset=npm,pyp', 'run -summar', `check -policy=${files}/on`];
    assert.deepEqual(
      scripts.typed(
        'setup.bash',
        lines.map((line) => `l7egg-cli ${line}`),
      ),
      [
        'l7egg-cli -dns=strict ',
        'l7egg-cli --eface=lo,lo ',
        'l7egg-cli -preset=npm,pypi ',
        'l7egg-cli run -summary-md=',
        `l7egg-cli check -policy=${files}/one.yaml `,
      ],
    );
  });

  test('in zsh also where the script is sourced', () => {
    assert.deepEqual(scripts.typed('sourced.zsh', ['l7egg-cli status -js']), ['l7egg-cli status -json ']);
  });

  test('in bash what stands behind "--" is left to bash-completion, where that is there', () => {
    const lines = ['l7egg-cli run -name=a -- git sta', 'l7egg-cli run -- gi', 'l7egg-cli status -- gi'];
    // Counted in words of readline: "-name", "=" and "a" are three.
    assert.deepEqual(scripts.callBash(lines, true), [['from-6'], ['from-3'], []]);
  });

  for (const shell of SHELLS)
    test(`the script of ${shell} has every command, and every flag of each`, () => {
      const script = must([findCli(), 'completion', shell]);
      for (const name of COMMAND_NAMES) assert.ok(script.includes(`command\t${name}\t`), name);
      for (const { name, commands, kind } of FLAGS)
        for (const command of commands)
          assert.ok(script.includes(`flag\t${command}\t${name}\t${kind}\t`), name);
    });

  test('bash offers of each command its flags, all of them, and no others', () => {
    const offered = scripts.callBash(COMMAND_NAMES.map((name) => `l7egg-cli ${name} -`));
    for (const [index, command] of COMMAND_NAMES.entries()) {
      const wanted = FLAGS.filter(({ commands }) => commands.includes(command)).flatMap(
        ({ name, alias, kind }) =>
          [name, ...(alias === undefined ? [] : [alias])].map(
            (each) => `-${each}${kind === 'boolean' ? '' : '='}`,
          ),
      );
      assert.deepEqual([...(offered[index] ?? [])].sort(), wanted.sort(), command);
    }
  });

  test('a shell that is not completed is an error that names those that are', () => {
    assert.throws(
      () => must([findCli(), 'completion', 'powershell']),
      /"powershell".*bash, zsh or fish is legal/u,
    );
    assert.throws(() => must([findCli(), 'completion']), /bash, zsh or fish is legal/u);
  });
});

/* bash offers the last piece of the line (behind = or :), fish the last word, zsh gives the whole line. */
function lineWith(line: string, offered: string): string {
  if (offered.startsWith('l7egg-cli ')) return offered.slice('l7egg-cli '.length).replace(/[ ,]$/u, '');
  const word = line.slice(line.lastIndexOf(' ') + 1);
  const piece = word.slice(Math.max(word.lastIndexOf('='), word.lastIndexOf(':')) + 1);
  const replaced = offered.startsWith(word) ? word : piece;
  return line.slice(0, line.length - replaced.length) + offered;
}

/* zsh gives back the line as it is when nothing completes it; fish offers what only has the letters in it. */
function notAsIs(line: string): (becomes: string) => boolean {
  return (becomes) => becomes !== line && becomes.startsWith(line);
}
