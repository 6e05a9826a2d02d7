import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Outcome, Plan } from './tc-cleaner-lab.ts';

const LAB = fileURLToPath(new URL('tc-cleaner-lab.js', import.meta.url));
const BOTH = ['-iface=left', '-eface=right'];
const directory = mkdtempSync(join(tmpdir(), 'l7egg-cleaner-'));
const object = join(directory, 'programs.o');

before(() => {
  const multiarch = execFileSync('clang', ['-print-multiarch'], { encoding: 'utf8' }).trim();
  const flags = ['-g', '-O2', '-target', 'bpf', `-I/usr/include/${multiarch}`];
  execFileSync('clang', [...flags, '-c', 'test/tools/tc-cleaner-programs.bpf.c', '-o', object]);
});
after(() => rmSync(directory, { recursive: true }));

function clean(plan: Plan): Outcome {
  const args = ['--mount', '--net', process.execPath, LAB, object, JSON.stringify(plan)];
  return JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' }));
}

describe('tc-cleaner refuses', () => {
  const rows: readonly (readonly [args: readonly string[], quoted: string])[] = [
    [[], '-iface or -eface is missing'],
    [['-force'], '-iface or -eface is missing'],
    [['-iface'], '"-iface"'],
    [['-iface='], 'interface ""'],
    [['-iface=lo,,lo'], 'interface "lo,,lo"'],
    [['-iface=a/b'], 'interface "a/b"'],
    [['-iface=lo', '-eface=nowhere0'], '"nowhere0"'],
    [['-iface=lo', '-frob=1'], '"-frob=1"'],
    [['-iface=lo', 'lo'], '"lo"'],
    [['-iface=lo', '-instance='], 'instance ""'],
    [['-iface=lo', '-instance=../up'], 'instance "../up"'],
    [['-iface=lo', '-instance', '..'], 'instance ".."'],
  ];
  for (const [args, quoted] of rows) {
    test(`"${args.join(' ')}" with usage and exit 2`, () => {
      const { status, stdout, stderr } = spawnSync('tools/tc-cleaner.sh', args, { encoding: 'utf8' });
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.ok(stderr.includes(quoted), stderr);
      assert.match(stderr, /^usage: tc-cleaner\.sh -iface=IF -eface=IF/m);
    });
  }
});

describe('tc-cleaner', () => {
  for (const args of [
    BOTH,
    ['--iface', 'left', '--eface', 'right'],
    ['-iface=left,right'],
    ['-eface=left'],
  ]) {
    test(`says that nothing is there for "${args.join(' ')}"`, () => {
      const outcome = clean({ args, linksLeft: 0 });
      assert.equal(outcome.status, 0);
      assert.match(outcome.stdout, /^tc-cleaner: nothing of l7egg is on /);
      assert.equal(outcome.foreignLinks, 1);
    });
  }

  test('removes pinned links, pins and state, and leaves a foreign link', () => {
    const outcome = clean({
      args: BOTH,
      links: ['left ingress', 'left egress', 'right ingress', 'right egress'],
      linksLeft: 0,
    });
    assert.equal(outcome.status, 0);
    assert.deepEqual(outcome.pins, []);
    assert.deepEqual(outcome.state, []);
    assert.equal(outcome.foreignLinks, 1);
    assert.match(outcome.stdout, /removed the egress link of instance "default"/);
  });

  test('leaves what an instance has on other interfaces', () => {
    const outcome = clean({ args: ['-iface=left'], links: ['left egress', 'right egress'], linksLeft: 1 });
    assert.equal(outcome.status, 0);
    assert.deepEqual(outcome.pins, ['default']);
    assert.deepEqual(outcome.state, ['default']);
    assert.match(outcome.stdout, /left the pins of instance "default"/);
  });

  test('leaves another instance than the named one', () => {
    const outcome = clean({ args: [...BOTH, '-instance=other'], links: ['left egress'], linksLeft: 1 });
    assert.equal(outcome.status, 0);
    assert.deepEqual(outcome.pins, ['default']);
  });

  test('names a living enforcer, changes nothing and exits 1', () => {
    const outcome = clean({ args: BOTH, links: ['left egress'], enforcer: true, linksLeft: 1 });
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, /"default" runs as process \d+/);
    assert.deepEqual(outcome.pins, ['default']);
    assert.equal(outcome.enforcerKilled, false);
  });

  test('ends a living enforcer with -force', () => {
    const outcome = clean({
      args: [...BOTH, '-force'],
      links: ['left egress'],
      enforcer: true,
      linksLeft: 0,
    });
    assert.equal(outcome.status, 0);
    assert.equal(outcome.enforcerKilled, true);
    assert.deepEqual(outcome.pins, []);
    assert.deepEqual(outcome.state, []);
  });

  test('removes its clsact filters and the qdisc that it had made', () => {
    const outcome = clean({ args: BOTH, filters: { programs: ['l7egg_probe'], made: true }, linksLeft: 0 });
    assert.equal(outcome.status, 0);
    assert.doesNotMatch(outcome.qdisc, /clsact/);
    assert.deepEqual(outcome.state, []);
  });

  test('leaves a foreign filter of the same priority, and the qdisc for it', () => {
    const programs = ['l7egg_probe', 'stranger'];
    const outcome = clean({ args: BOTH, filters: { programs, made: true }, linksLeft: 0 });
    assert.equal(outcome.status, 0);
    assert.doesNotMatch(outcome.filters, /l7egg/);
    assert.match(outcome.filters, /stranger/);
    assert.match(outcome.qdisc, /clsact/);
  });

  test('leaves a clsact qdisc that it had found', () => {
    const outcome = clean({ args: BOTH, filters: { programs: ['l7egg_probe'], made: false }, linksLeft: 0 });
    assert.equal(outcome.filters, '');
    assert.match(outcome.qdisc, /clsact/);
  });
});
