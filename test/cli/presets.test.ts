import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FLAGS } from '../../src/cli/flags.ts';
import { normaliseArgs } from '../../src/cli/normalise.ts';
import { parseOptions } from '../../src/cli/options.ts';
import { findCheckout, findCli } from '../lab/checkout.ts';
import { type RunResult, runCommand } from '../lab/command.ts';

const run = (...args: readonly string[]): RunResult => runCommand([findCli(), ...args]);
const presetsOf = (line: string): readonly string[] => {
  const options = parseOptions(normaliseArgs(line.split(' '), FLAGS));
  assert.ok('source' in options);
  return options.source.presets;
};

describe('presets', () => {
  test('list has each with what it is for', () => {
    const { code, stdout, stderr } = run('presets', 'list');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^npm +Packages of the npm registry$/mu);
    assert.match(stdout, /^debian +Packages of Debian/mu);
    assert.doesNotMatch(stdout, /schema/u);
  });

  test('alone is the list', () => assert.equal(run('presets').stdout, run('presets', 'list').stdout));

  test('show writes the file as it is', () => {
    const { code, stdout, stderr } = run('presets', 'show', 'github');
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(stdout, readFileSync(join(findCheckout(), 'src/presets/github.yaml'), 'utf8'));
  });

  const refused: readonly (readonly [args: string, error: string])[] = [
    ['presets show nmp', 'preset "nmp" is not there, did you mean "npm"?'],
    ['presets show ../presets/npm', 'preset "../presets/npm" is not there: alpine, '],
    ['presets show', 'presets show needs a name: presets list has them'],
    ['presets lst', '"lst" is nothing that presets does, did you mean "list"?'],
    ['presets other', '"other" is nothing that presets does: list or show NAME is legal'],
    ['presets list npm', '"npm" is one argument too many for presets list'],
    ['presets show npm pypi', '"pypi" is one argument too many for presets'],
    ['presets -preset=npm', 'flag -preset is not for presets: '],
    ['check -preset=nmp', 'preset "nmp" is not there, did you mean "npm"?'],
    ['check a.test -preset=npm,', 'flag -preset has an empty item in "npm,"'],
    ['status -preset=npm', 'flag -preset is not for status: '],
  ];
  for (const [args, error] of refused) {
    test(`${args} is refused`, () => {
      const { code, stdout, stderr } = run(...args.split(' '));
      assert.deepEqual([code, stdout], [2, '']);
      assert.ok(stderr.startsWith(`l7egg-cli: ${error}`), stderr);
    });
  }
});

describe('-preset', () => {
  const rows: readonly (readonly [args: string, code: number, said: string])[] = [
    [
      'check registry.npmjs.org:443 -preset=npm',
      0,
      'allow registry.npmjs.org:443: preset/npm: allow the name registry.npmjs.org on 443/tcp',
    ],
    [
      'check registry.npmjs.org:80 -preset=npm',
      1,
      'deny registry.npmjs.org:80: preset/npm lists registry.npmjs.org, but not 80/tcp',
    ],
    ['check example.com:443 -preset=npm', 1, 'deny example.com:443: no rule lists example.com'],
    ['check x.registry.npmjs.org:443 -preset=npm', 1, 'deny x.registry.npmjs.org:443: no rule lists '],
    ['check github.com:22 -preset=npm,github', 0, 'allow github.com:22: preset/github: '],
    ['check github.com:22 -preset=npm', 1, 'deny github.com:22: '],
    ['check 0.de.pool.ntp.org:123/udp -preset=ntp', 0, 'allow 0.de.pool.ntp.org:123/udp: preset/ntp: '],
    ['check -preset=npm -preset=pypi', 0, 'valid\n  host: 3 rules, dns open\n'],
    ['check -preset=npm,npm', 0, 'valid\n  host: 1 rule, dns open\n'],
    ['explain registry.npmjs.org:443 -preset=npm', 0, 'allow registry.npmjs.org:443: preset/npm: '],
  ];
  for (const [args, code, said] of rows) {
    test(args, () => {
      const done = run(...args.split(' '));
      assert.deepEqual([done.code, done.stderr], [code, '']);
      assert.ok(done.stdout.startsWith(said), done.stdout);
    });
  }

  test('goes with a policy file', () => {
    const input =
      'apiVersion: l7egg/v1\nkind: EgressPolicy\nrules: [{names: [registry.npmjs.org], action: deny}]';
    const { code, stdout } = runCommand(
      [findCli(), 'check', 'registry.npmjs.org:443', '-preset=npm', '-policy=-'],
      { input },
    );
    assert.equal(code, 1);
    assert.match(stdout, /^deny registry\.npmjs\.org:443: - rule 1 denies/u);
  });

  for (const line of [
    'enforce -preset=npm,pypi',
    'run -preset=npm -preset=pypi -- true',
    'check -preset=npm,pypi',
  ])
    test(`is policy enough for ${line}`, () => assert.deepEqual(presetsOf(line), ['npm', 'pypi']));
});
