import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cleanEnvironment } from '../lab/command.ts';
import { Process } from '../lab/process.ts';
import { Bench, PLAIN, runInside, runOutside, said } from './confined.ts';

const bench = new Bench();
after(() => bench[Symbol.dispose]());

/* A process of the same plain user, and a socket without a path, both outside. */
const abstractName = `@l7egg-run-${process.pid}`;
const victim = new Process(
  [
    ...['setpriv', `--reuid=${PLAIN}`, `--regid=${PLAIN}`, '--clear-groups'],
    ...[bench.probe, 'listen', abstractName, '--', bench.probe, 'victim'],
  ],
  cleanEnvironment(),
  'victim',
);
after(() => victim.close());

let pid = '';
let address = '';
before(async () => {
  const { text } = await victim.waitForLine(/^\d+ [0-9a-f]+$/u, 5_000);
  [pid = '', address = ''] = text.split(' ');
});

/* What an attempt answers outside, and inside by what the kernel has. */
interface Row {
  readonly attempt: () => readonly string[];
  readonly outside: string;
  readonly inside: string;
  /** Landlock of Linux 6.1. */
  readonly older: string;
  /** No landlock: a pid namespace. */
  readonly none: string;
}

const refused = (attempt: Row['attempt'], inside: string, none: string): Row => ({
  attempt,
  outside: 'ok',
  inside,
  older: inside,
  none,
});

const rows: ReadonlyMap<string, Row> = new Map([
  ['ptrace', refused(() => ['ptrace', pid], 'EPERM', 'ESRCH')],
  ['process_vm_readv', refused(() => ['read_memory', pid, address], 'EPERM', 'ESRCH')],
  ['pidfd_getfd', refused(() => ['take_descriptor', pid, '1'], 'EPERM', 'ESRCH')],
  ['/proc/PID/root', refused(() => ['list', `/proc/${pid}/root`], 'EACCES', 'ENOENT')],
  ['/proc/PID/cwd', refused(() => ['list', `/proc/${pid}/cwd`], 'EACCES', 'ENOENT')],
  ['/proc/PID/fd', refused(() => ['open', `/proc/${pid}/fd/0`], 'EACCES', 'ENOENT')],
  ['/proc/PID/mem', refused(() => ['open', `/proc/${pid}/mem`], 'EACCES', 'ENOENT')],
  // The last two are stated where the kernel can't hold them.
  [
    'a signal',
    { attempt: () => ['signal', pid, '0'], outside: 'ok', inside: 'EPERM', older: 'ok', none: 'ESRCH' },
  ],
  [
    'an abstract unix socket',
    {
      attempt: () => ['connect', abstractName],
      outside: 'ok',
      inside: 'EPERM',
      older: 'ok',
      none: 'ok',
    },
  ],
]);

for (const [what, row] of rows) {
  describe(`an outside process of the same user, by ${what}`, () => {
    const options = { uid: PLAIN };
    const attempt = () => [bench.probe, ...row.attempt()] as const;
    test(`outside: ${row.outside}`, () => assert.equal(said(runOutside(attempt(), options)), row.outside));
    test(`inside: ${row.inside}`, () => assert.equal(said(runInside(attempt(), options)), row.inside));
    test(`inside with an older landlock: ${row.older}`, () =>
      assert.equal(said(runInside(attempt(), { ...options, landlockAbi: 2 })), row.older));
    test(`inside without landlock: ${row.none}`, () =>
      assert.equal(said(runInside(attempt(), { ...options, landlockAbi: 0 })), row.none));
  });
}

for (const [kernel, landlockAbi, remarks] of [
  ['this kernel', undefined, /^$/u],
  ['an older landlock', 2, /^remark: before Linux 6\.12 abstract unix sockets/u],
  ['no landlock', 0, /^remark: this kernel has no landlock: .* abstract unix sockets/u],
] as const) {
  describe(`with ${kernel}`, () => {
    const options = { uid: PLAIN, ...(landlockAbi === undefined ? {} : { landlockAbi }) };
    const inside = (...attempt: [string, ...string[]]) => said(runInside([bench.probe, ...attempt], options));

    test('what can not be held is stated', () => {
      assert.match(runInside(['true'], options).stderr, remarks);
    });

    test('a debugger works on its own child', () => {
      assert.equal(inside('debug_child'), 'ok');
    });

    test('the links of /proc lead to what is inside', () => {
      assert.equal(inside('list', '/proc/self/root'), 'ok');
    });

    test('a file is renamed into another directory', () => {
      const folder = mkdtempSync(join(bench.path, 'rename-'));
      for (const name of [folder, join(folder, 'to')]) {
        mkdirSync(name, { recursive: true });
        chmodSync(name, 0o777);
      }
      writeFileSync(join(folder, 'file'), 'text');
      assert.equal(inside('rename', join(folder, 'file'), join(folder, 'to/file')), 'ok');
      assert.equal(readFileSync(join(folder, 'to/file'), 'utf8'), 'text');
    });
  });
}

test('with an older landlock a plain user mounts nothing in a namespace of its own', () => {
  const attempt = [bench.probe, 'fresh_tmpfs', bench.path] as const;
  assert.equal(said(runOutside(attempt, { uid: PLAIN })), 'ok');
  assert.equal(said(runInside(attempt, { uid: PLAIN })), 'ok');
  assert.equal(said(runInside(attempt, { uid: PLAIN, landlockAbi: 2 })), 'EPERM');
});
