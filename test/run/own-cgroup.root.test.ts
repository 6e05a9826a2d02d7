import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { endCgroup, killOneByOne, OwnCgroup, removeAbandoned } from '../../src/run/own-cgroup.ts';
import { type Argv, cleanEnvironment, mustRun, type RunResult, runCommand } from '../lab/command.ts';
import { hasEnded, Process } from '../lab/process.ts';
import { until } from '../lab/wait.ts';
import {
  Bench,
  confinedArgv,
  freshName,
  ownCgroupDirectory,
  PLAIN,
  ROOT,
  runInside,
  runOutside,
  said,
  sudoEnvironment,
} from './confined.ts';

const bench = new Bench();
after(() => bench[Symbol.dispose]());

/*
 * What a systemd user manager has:  delegated (of the user)
 *                                     ├── session (of the user): here l7egg-cli starts
 *                                     └── other (of the user): not judged
 */
const delegated = join(ownCgroupDirectory(), freshName());
for (const path of [delegated, join(delegated, 'session'), join(delegated, 'other')]) mkdirSync(path);
mustRun(['chown', '-R', `${PLAIN}:${PLAIN}`, delegated]);
after(() => {
  for (const name of ['session', 'other', '']) rmdirSync(join(delegated, name));
});
const mountPoint = join(bench.path, 'cgroup');
mkdirSync(mountPoint);

function inSession(argv: Argv, env: Readonly<Record<string, string>> = {}): RunResult {
  return runCommand(['sh', '-c', 'echo $$ >"$0/session/cgroup.procs" && exec "$@"', delegated, ...argv], {
    env,
    timeoutMs: 5_000,
  });
}

function outside(uid: number, ...attempt: string[]): string {
  const user = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  return said(inSession(['setpriv', ...user, bench.probe, ...attempt]));
}

function inside(uid: number, ...attempt: string[]): string {
  return said(inSession(confinedArgv([bench.probe, ...attempt]), sudoEnvironment(uid)));
}

describe('out of the cgroup', () => {
  const other = join(delegated, 'other/cgroup.procs');
  for (const [user, uid] of [
    ['root', ROOT],
    ['the user who owns it', PLAIN],
  ] as const) {
    test(`${user} moves itself outside, and not inside`, () => {
      assert.equal(outside(uid, 'write', other, '0'), 'ok');
      assert.equal(inside(uid, 'write', other, '0'), 'EROFS');
    });
  }
  test('a plain user makes the mount writable neither here nor in a namespace of its own', () => {
    const tree = mustRun(['findmnt', '-n', '-o', 'TARGET', '-t', 'cgroup2']).trim().split('\n')[0] ?? '';
    assert.equal(outside(PLAIN, 'remount', tree), 'ok');
    assert.equal(inside(PLAIN, 'remount', tree), 'EPERM');
  });
  test('a tree mounted anew by a plain user shows the own cgroup only, and is not its own to write', () => {
    assert.equal(outside(PLAIN, 'fresh_cgroup', mountPoint, '.'), 'ok');
    assert.equal(inside(PLAIN, 'fresh_cgroup', mountPoint, '.'), 'EACCES');
    assert.equal(inside(PLAIN, 'fresh_cgroup', mountPoint, 'other'), 'ENOENT');
    assert.equal(inside(PLAIN, 'fresh_cgroup', mountPoint, '../../other'), 'ENOENT');
  });
  test('root mounts no tree anew', () => {
    const attempt = [bench.probe, 'fresh_cgroup', mountPoint, '.'] as const;
    assert.equal(said(runOutside(attempt)), 'ok');
    assert.equal(said(runInside(attempt)), 'EPERM');
  });
});

describe('OwnCgroup', () => {
  /* A process in `path`, in a session of its own and without a parent. */
  async function leave(path: string): Promise<number> {
    mustRun([
      'sh',
      '-c',
      'echo 0 >"$0/cgroup.procs" && setsid -f sleep 1000 </dev/null >/dev/null 2>&1',
      path,
    ]);
    return await until(
      () => {
        const pid = Number(readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n')[0] ?? '');
        return pid > 0 && readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n' ? pid : 0;
      },
      { limitMs: 2_000, what: 'the process that was left' },
    );
  }

  test('create and end leave nothing', async () => {
    const name = freshName();
    const cgroup = OwnCgroup.create(name);
    assert.equal(cgroup.path, join(ownCgroupDirectory(), 'l7egg', name));
    assert.ok(existsSync(cgroup.procsFile));
    await cgroup.end();
    await cgroup.end();
    assert.ok(!existsSync(cgroup.path));
  });
  test('end kills what was left, also in cgroups below', async () => {
    const cgroup = OwnCgroup.create(freshName());
    mkdirSync(join(cgroup.path, 'below'));
    const pids = [await leave(cgroup.path), await leave(join(cgroup.path, 'below'))];
    assert.deepEqual(await cgroup.end(), ['sleep', 'sleep']);
    assert.deepEqual(pids.map(hasEnded), [true, true]);
    assert.ok(!existsSync(cgroup.path));
  });
  test('killOneByOne ends all where the kernel has no cgroup.kill', async () => {
    const cgroup = OwnCgroup.create(freshName());
    mkdirSync(join(cgroup.path, 'below'));
    const pids = [await leave(cgroup.path), await leave(join(cgroup.path, 'below'))];
    killOneByOne(cgroup.path);
    await until(() => pids.every(hasEnded), { limitMs: 5_000, what: 'the end of both' });
    await cgroup.end();
  });
  test('create refuses a cgroup that a run has, before anything is in it', async () => {
    const name = freshName();
    const cgroup = OwnCgroup.create(name);
    assert.throws(() => OwnCgroup.create(name), { name: 'TakenError', message: /another run.*-instance/u });
    assert.equal(removeAbandoned(cgroup.path), false);
    await cgroup.end();
    assert.equal(removeAbandoned(cgroup.path), true);
    await OwnCgroup.create(name).end();
  });
  test('create refuses what a dead run left while something is in it, and replaces it then', async () => {
    const name = freshName();
    const path = join(ownCgroupDirectory(), 'l7egg', name);
    mkdirSync(join(path, 'old'), { recursive: true });
    const pid = await leave(path);
    assert.throws(() => OwnCgroup.create(name), { name: 'TakenError', message: /another run/u });
    assert.equal(removeAbandoned(path), false);
    process.kill(pid, 'SIGKILL');
    await until(() => hasEnded(pid), { limitMs: 2_000, what: 'its end' });
    const cgroup = OwnCgroup.create(name);
    assert.ok(!existsSync(join(path, 'old')));
    await cgroup.end();
    assert.ok(!existsSync(path));
  });
  test('removeAbandoned and endCgroup remove what a dead run left', async () => {
    const path = join(ownCgroupDirectory(), 'l7egg', freshName());
    mkdirSync(join(path, 'old'), { recursive: true });
    assert.equal(removeAbandoned(path), true);
    assert.ok(!existsSync(path));
    mkdirSync(path, { recursive: true });
    const pid = await leave(path);
    await endCgroup(path);
    assert.deepEqual([hasEnded(pid), existsSync(path)], [true, false]);
  });
  test('create refuses to work inside another run', () => {
    const outer = join(ownCgroupDirectory(), 'l7egg', 'run-1');
    for (const caller of [outer, join(outer, 'below')])
      assert.throws(() => OwnCgroup.create(freshName(), caller), {
        name: 'UnsupportedError',
        message: /^Cannot run inside of another run, whose cgroup is ".*\/l7egg\/run-1": start the command/u,
      });
  });
  test('create says what is missing where cgroups are read-only', () => {
    const script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"';
    const done = runCommand(
      ['unshare', '--mount', 'sh', '-c', script, 'sh', ownCgroupDirectory(), ...confinedArgv(['true'])],
      { timeoutMs: 5_000 },
    );
    assert.match(
      done.stderr,
      /UnsupportedError: Cannot make the cgroup ".*": EROFS\. .*docker run --privileged/u,
    );
  });
});

describe('what a command leaves behind', () => {
  test('is killed, though it has a session of its own and no parent', () => {
    const file = join(bench.path, 'left');
    const script = `(setsid sh -c 'echo $$ >${file}; exec sleep 1000' &) ; while [ ! -s ${file} ]; do sleep 0.01; done`;
    const done = runCommand(confinedArgv(['sh', '-c', script]), { timeoutMs: 5_000 });
    assert.equal(done.code, 0, done.stderr);
    assert.ok(hasEnded(Number(readFileSync(file, 'utf8'))));
  });
  test('dies with l7egg-cli when that is killed', async () => {
    const name = freshName();
    const script = 'setsid sleep 1000 & echo ready; wait';
    using run = new Process(confinedArgv(['sh', '-c', script], {}, name), cleanEnvironment(), 'run');
    await run.waitForLine(/^ready$/u, 5_000);
    const path = join(ownCgroupDirectory(), 'l7egg', name);
    run.kill('SIGKILL');
    await until(() => readFileSync(join(path, 'cgroup.procs'), 'utf8') === '', {
      limitMs: 5_000,
      what: 'the end of all',
    });
    rmdirSync(path);
  });
  for (const landlockAbi of [undefined, 0]) {
    const kernel = landlockAbi === undefined ? '' : ' without landlock';
    test(`dies with the supervisor when that is killed${kernel}`, async () => {
      const options = landlockAbi === undefined ? {} : { landlockAbi };
      const argv = confinedArgv(['sh', '-c', 'echo ready; exec sleep 1000'], options);
      using run = new Process(argv, cleanEnvironment(), 'run');
      await run.waitForLine(/^ready$/u, 5_000);
      const children = readFileSync(`/proc/${run.pid}/task/${run.pid}/children`, 'utf8').trim();
      process.kill(Number(children), 'SIGKILL');
      assert.deepEqual(await run.exited, { code: 128 + 9, signal: null });
    });
  }
});

after(() => {
  const parent = join(ownCgroupDirectory(), 'l7egg');
  if (existsSync(parent))
    assert.deepEqual(
      readdirSync(parent, { withFileTypes: true }).filter(
        (entry) => entry.isDirectory() && entry.name.startsWith(`confined-test-${process.pid}-`),
      ),
      [],
    );
});
