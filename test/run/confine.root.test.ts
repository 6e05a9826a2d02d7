import assert from 'node:assert/strict';
import { constants, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { cleanEnvironment, runCommand } from '../lab/command.ts';
import { Process } from '../lab/process.ts';
import { Bench, confinedArgv, PLAIN, ROOT, runInside, said } from './confined.ts';

const bench = new Bench();
after(() => bench[Symbol.dispose]());

const KERNELS = [
  ['', undefined],
  [' without landlock', 0],
] as const;

for (const [kernel, abi] of KERNELS) {
  const on = abi === undefined ? {} : { landlockAbi: abi };
  const sh = (script: string) => ['sh', '-c', script] as const;

  describe(`the exit code${kernel}`, () => {
    const rows = [
      [['true'], 0],
      [sh('exit 3'), 3],
      [sh('exit 125'), 125],
      [sh('kill -TERM $$'), 128 + 15],
      [sh('kill -KILL $$'), 128 + 9],
      [['/nowhere/l7egg'], 127],
      [['/etc/passwd'], 126],
    ] as const;
    for (const [argv, code] of rows) {
      test(`of ${argv.join(' ')} is ${code}`, () => assert.equal(runInside(argv, on).code, code));
    }
  });

  describe(`a signal to l7egg-cli${kernel}`, () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
      test(`${signal} is passed on, once`, async () => {
        const name = signal.slice(3);
        const script = `trap 'echo got' ${name}; echo ready; while :; do sleep 0.05; done`;
        using run = new Process(confinedArgv(sh(script), on), cleanEnvironment(), 'run');
        await run.waitForLine(/^ready$/u, 5_000);
        const mark = run.mark();
        run.kill(signal);
        await run.waitForLine(/^got$/u, 5_000, mark);
        // What comes after it in order has come without a second one in between.
        const other = signal === 'SIGTERM' ? 'SIGINT' : 'SIGTERM';
        run.kill(other);
        assert.deepEqual(await run.exited, { code: 128 + (other === 'SIGTERM' ? 15 : 2), signal: null });
        assert.equal(run.lines.filter(({ text }) => text === 'got').length, 1);
      });
    }
    test('is not doubled when it is sent to the whole group', async () => {
      const script = "trap 'echo got' TERM; echo ready; while :; do sleep 0.05; done";
      using run = new Process(confinedArgv(sh(script), on), cleanEnvironment(), 'run');
      await run.waitForLine(/^ready$/u, 5_000);
      process.kill(-run.pid, 'SIGTERM');
      await run.waitForLine(/^got$/u, 5_000);
      run.kill('SIGINT');
      assert.equal((await run.exited).code, 128 + 2);
      assert.equal(run.lines.filter(({ text }) => text === 'got').length, 1);
    });
  });
}

describe('the command gets', () => {
  test('its arguments as they are', () => {
    const args = ['a b', '', 'line\nbreak', '--', '-x=1', '"\'$HOME*', 'ü'];
    const script = 'process.stdout.write(JSON.stringify(process.argv.slice(1)))';
    const done = runInside([process.execPath, '-e', script, '--', ...args]);
    assert.deepEqual(JSON.parse(done.stdout), args);
  });
  test('the environment as it is', () => {
    const done = runInside(['sh', '-c', 'printf %s "$WEIRD"'], { env: { WEIRD: 'a\nb =c' } });
    assert.equal(done.stdout, 'a\nb =c');
  });
  test("the caller's HOME and name in the place of root's", () => {
    const env = { HOME: '/root', USER: 'root', LOGNAME: 'root', OTHER: 'root' };
    const done = runInside(['sh', '-c', 'echo "$HOME $USER $LOGNAME $OTHER"'], { uid: PLAIN, env });
    assert.equal(said(done), '/nonexistent nobody nobody root');
  });
  test('the working directory and the umask', () => {
    const argv = confinedArgv(['sh', '-c', 'pwd; umask']);
    const done = runCommand(['sh', '-c', 'cd "$0" && umask 027 && exec "$@"', bench.path, ...argv]);
    assert.equal(said(done), `${bench.path}\n0027`);
  });
  test('the user and the groups of the caller', () => {
    assert.equal(said(runInside(['id'], { uid: PLAIN })), said(runCommand(['id', 'nobody'])));
    assert.equal(said(runInside(['id', '-u'], { uid: ROOT })), '0');
  });
  test('its input and both outputs', () => {
    const done = runInside(['sh', '-c', 'cat; echo error >&2'], { input: 'text' });
    assert.deepEqual([done.stdout, done.stderr], ['text', 'error\n']);
  });
  test('outputs that block, whatever node does with its own', () => {
    const done = runInside(['sh', '-c', 'sleep 0.2; grep flags /proc/self/fdinfo/1 /proc/self/fdinfo/2']);
    assert.equal(done.code, 0, done.stderr);
    for (const [, flags] of done.stdout.matchAll(/flags:\s*(\d+)/gu)) {
      assert.equal(Number.parseInt(flags ?? '', 8) & constants.O_NONBLOCK, 0, done.stdout);
    }
    assert.equal(done.stdout.match(/flags/gu)?.length, 2);
  });
  test('the limit of open files that the caller had, not that of node', () => {
    const script = 'ulimit -Sn 777 && sh -c \'"$@"; exit $?\' sh "$@"';
    const argv = confinedArgv(['sh', '-c', 'ulimit -Sn']);
    assert.equal(said(runCommand(['sh', '-c', script, 'sh', ...argv])), '777');
  });
  test('no descriptor but its streams', () => {
    const secret = join(bench.path, 'secret');
    writeFileSync(secret, 'text');
    const list = 'ls /proc/self/fd | tr "\\n" " "';
    const argv = confinedArgv(['sh', '-c', list]);
    const script = 'exec 5<"$0" 9<"$0"; "$@"';
    assert.match(said(runCommand(['sh', '-c', script, secret, 'sh', '-c', list])), /\b5 9\b/u);
    assert.equal(said(runCommand(['sh', '-c', script, secret, ...argv])), '0 1 2 3');
  });
  test('every signal at its default', () => {
    const script = 'grep -E "^Sig(Blk|Ign)" /proc/self/status';
    assert.match(said(runInside(['sh', '-c', script])), /^SigBlk:\s0{16}\nSigIgn:\s0{16}$/u);
  });
  test('no new privileges, and as root what it needs to build and install', () => {
    const status = said(runInside(['cat', '/proc/self/status']));
    assert.match(status, /^NoNewPrivs:\s1$/mu);
    const held = BigInt(`0x${/^CapBnd:\s(\S+)$/mu.exec(status)?.[1] ?? ''}`);
    const has = (capability: number) => ((held >> BigInt(capability)) & 1n) === 1n;
    // linux/capability.h: chown, setuid, bind; then net_admin, net_raw, rawio, ptrace, admin, mknod, mac, perfmon, bpf
    assert.deepEqual([0, 7, 10].map(has), [true, true, true]);
    assert.deepEqual(
      [2, 12, 13, 16, 17, 19, 21, 22, 27, 32, 33, 34, 38, 39, 40].map(has),
      Array(15).fill(false),
    );
    const script = `touch "$0/own" && chown ${PLAIN} "$0/own" && setpriv --reuid=${PLAIN} --clear-groups id -u`;
    assert.equal(said(runInside(['sh', '-c', script, bench.path])), String(PLAIN));
  });
  test('nothing at all when a directory is opened as its input', () => {
    const argv = confinedArgv(['echo', 'started']);
    const done = runCommand(['sh', '-c', '"$@" </sys/fs/cgroup', 'sh', ...argv]);
    assert.deepEqual([done.code, done.stdout], [125, '']);
    assert.match(done.stderr, /^l7egg-cli: run: stdin is a directory opened outside.*\nnot started\n$/u);
  });
  test('a network socket as its input, which is said', () => {
    const script = `
import socket, subprocess, sys
s = socket.socket()
sys.exit(subprocess.run(sys.argv[1:], stdin=s).returncode)`;
    const done = runCommand(['/usr/bin/python3', '-c', script, ...confinedArgv(['true'])]);
    assert.equal(done.code, 0);
    assert.match(done.stderr, /^remark: stdin is a network socket made outside/u);
  });
});

describe('a launcher without a cgroup to join', () => {
  test('does not start the command', () => {
    const launcher = new URL('../../../dist/l7egg-confine', import.meta.url).pathname;
    const script = `
import socket, subprocess, sys
a, b = socket.socketpair()
done = subprocess.run([sys.argv[1], '--report-fd=%d' % b.fileno(), '--cgroup-procs=/nowhere/cgroup.procs',
  '--uid=0', '--gid=0', '--', 'echo', 'started'], pass_fds=[b.fileno()])
sys.exit(done.returncode)`;
    const done = runCommand(['/usr/bin/python3', '-c', script, launcher]);
    assert.deepEqual([done.code, done.stdout], [125, '']);
    assert.match(done.stderr, /Cannot join the cgroup "\/nowhere\/cgroup.procs": No such file or directory/u);
  });
});
