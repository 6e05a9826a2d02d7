import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type Argv, type RunResult, runCommand } from '../lab/command.ts';
import { Bench, confinedArgv, PLAIN, ROOT, said, sudoEnvironment } from './confined.ts';
import { onStage } from './stage.ts';

const bench = new Bench();
after(() => bench[Symbol.dispose]());

/* A terminal multiplexer's folder, an ssh connection that is lent, an engine where the environment says it is. */
const tmux = mkdtempSync(join(tmpdir(), 'tmux-l7egg-'));
after(() => rmSync(tmux, { recursive: true }));
const home = join(bench.path, 'home');
mkdirSync(join(home, '.ssh/held'), { recursive: true });
const engine = join(bench.path, 'engine.sock');

const HIDDEN = [
  '/run/docker.sock',
  '/var/run/docker.sock',
  '/run/containerd/containerd.sock',
  '/run/podman/podman.sock',
  '/run/libvirt/libvirt-sock',
  '/run/dbus/system_bus_socket',
  '/run/systemd/private',
  '/run/systemd/journal/dev-log',
  '/run/systemd/resolve/io.systemd.Resolve',
  '/run/nscd/socket',
  '/run/user/65534/bus',
  '/run/user/65534/systemd/private',
  '/run/snapd.socket',
  '/run/tailscale/tailscaled.sock',
  '/run/screen/1.host',
  '/run/l7egg/default/control',
  join(tmux, 'default'),
  join(home, '.ssh/held/host'),
  engine,
];
const DATABASE = '/run/postgresql/.s.PGSQL.5432';

/* Somebody listens at `socket` only: one who never answers at the nscd's would hold up every look-up of a user. */
function outside(argv: Argv, uid = ROOT, socket = DATABASE): RunResult {
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  const [program, ...args] = argv;
  const words: Argv = uid === ROOT ? argv : ['env', ...user, program, ...args];
  return runCommand(onStage(bench.probe, [socket], words), { timeoutMs: 5_000 });
}

function inside(argv: Argv, uid = ROOT, socket = DATABASE): RunResult {
  const env = { HOME: home, DOCKER_HOST: `unix://${engine}`, ...sudoEnvironment(uid) };
  return runCommand(onStage(bench.probe, [socket], confinedArgv(argv)), { env, timeoutMs: 5_000 });
}

describe('a socket of the host', () => {
  for (const path of HIDDEN) {
    test(`${path} takes connections outside and is hidden inside`, () => {
      const listening = path.replace('/var/run/', '/run/');
      assert.equal(said(outside([bench.probe, 'connect', path], ROOT, listening)), 'ok');
      assert.match(
        said(inside([bench.probe, 'connect', path], ROOT, listening)),
        /^(?:ENOENT|ECONNREFUSED)$/u,
      );
    });
  }
  test('is hidden from a plain user, too', () => {
    const attempt = [bench.probe, 'connect', '/run/docker.sock'] as const;
    assert.equal(said(outside(attempt, PLAIN, '/run/docker.sock')), 'ok');
    assert.equal(said(inside(attempt, PLAIN, '/run/docker.sock')), 'ENOENT');
  });
  test('that is a database takes connections inside', () => {
    assert.equal(said(inside([bench.probe, 'connect', DATABASE], PLAIN)), 'ok');
  });
  test('is not reached through a working directory that is hidden', () => {
    const enter = (path: string) => ['sh', '-c', `cd "${path}" && exec "$@"`, 'sh'] as const;
    const attempt = [bench.probe, 'connect', 'default'] as const;
    const socket = [join(tmux, 'default')];
    assert.equal(said(runCommand(onStage(bench.probe, socket, [...enter(tmux), ...attempt]))), 'ok');
    const done = runCommand(onStage(bench.probe, socket, [...enter(tmux), ...confinedArgv(attempt)]));
    assert.equal(said(done), 'ENOENT');
    const gone = runCommand(onStage(bench.probe, socket, [...enter('/run/dbus'), ...confinedArgv(['true'])]));
    assert.equal(gone.code, 125);
    assert.match(gone.stderr, /Cannot enter the working directory "\/run\/dbus" with what is hidden/u);
  });
  test('stays hidden when its daemon starts anew, or only now', () => {
    const [started, listening, ended] = ['started', 'listening', 'ended'].map((name) =>
      join(bench.path, name),
    );
    const attempt = `touch ${started}; until [ -e ${listening} ]; do sleep 0.02; done; "$0" connect`;
    const restart = `
      "$@" &
      until [ -e ${started} ]; do sleep 0.02; done
      ${bench.probe} listen /run/docker.sock /run/late.sock -- sh -c 'touch ${listening}; until [ -e ${ended} ]; do sleep 0.02; done' &
      wait %1
      ${bench.probe} connect /run/docker.sock
      ${bench.probe} connect /run/late.sock
      touch ${ended}; wait`;
    const script = `${attempt} /run/docker.sock; "$0" connect /run/late.sock; "$0" connect ${DATABASE}`;
    const command = confinedArgv(['sh', '-c', script, bench.probe]);
    const argv = ['sh', '-c', restart, 'sh', ...command] as const;
    const done = runCommand(onStage(bench.probe, ['/run/docker.sock', DATABASE], argv), { timeoutMs: 5_000 });
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(done.stdout.trim().split('\n'), ['ENOENT', 'ENOENT', 'ok', 'ok', 'ok']);
  });
});

describe('of what is hidden', () => {
  test('the resolver file that /etc/resolv.conf leads to stays', () => {
    const file = '/run/systemd/resolve/stub-resolv.conf';
    assert.equal(said(inside(['cat', file], PLAIN)), 'nameserver 127.0.0.53');
    assert.equal(said(outside([bench.probe, 'open', file])), 'ok');
    assert.equal(said(inside([bench.probe, 'open', file])), 'EROFS');
  });
  test('the runtime directory of the user is empty and the user may use it', () => {
    const script = 'ls -A /run/user/65534 && echo text >/run/user/65534/file && cat /run/user/65534/file';
    assert.equal(said(inside(['sh', '-c', script], PLAIN)), 'text');
  });
  test('nothing can be filled in by root', () => {
    const script = 'mkdir "$0/made" && rmdir "$0/made" && echo made || echo refused';
    assert.equal(said(outside(['sh', '-c', script, tmux])), 'made');
    assert.equal(said(inside(['sh', '-c', script, tmux])), 'refused');
  });
  test('the directory /run is one for root to fill, and is not that outside', () => {
    const script = 'mkdir /run/made && ls -d /run/made /run/lock';
    assert.equal(said(inside(['sh', '-c', script])), '/run/lock\n/run/made');
  });
  test('nothing is seen again in a namespace of its own', () => {
    const place = mkdtempSync(join(bench.path, 'place-'));
    const attempt = [bench.probe, 'bind_parent', '/run', place] as const;
    assert.equal(said(outside(attempt, PLAIN)), 'ok');
    assert.equal(said(inside(attempt, PLAIN)), 'EINVAL');
    assert.equal(said(inside([bench.probe, 'bind_parent', '/', place], PLAIN)), 'EINVAL');
    assert.equal(said(inside([bench.probe, 'unmount', '/run'], PLAIN)), 'EINVAL');
    assert.equal(said(inside([bench.probe, 'fresh_tmpfs', place], PLAIN)), 'ok');
  });
});

describe('a command of root', () => {
  const pins = `/sys/fs/bpf/l7egg-run-${process.pid}`;
  mkdirSync(pins);
  after(() => rmSync(pins, { recursive: true }));

  const rows: readonly (readonly [what: string, attempt: Argv, inside: string])[] = [
    ['can not see pins', ['list', pins], 'ENOENT'],
    ['can not name a program for the kernel to start', ['open', '/proc/sys/kernel/core_pattern'], 'EROFS'],
    ['can not change devices', ['open', '/sys/class/net/lo/ifalias'], 'EROFS'],
    ['can write what processes have of their own in /proc', ['open', '/proc/self/oom_score_adj'], 'ok'],
  ];
  for (const [what, attempt, answer] of rows) {
    test(what, () => {
      const program = [bench.probe, ...attempt] as const;
      assert.equal(said(outside(program)), 'ok');
      assert.equal(said(inside(program)), answer);
    });
  }
  test('reads settings of the kernel', () => {
    assert.match(said(inside(['cat', '/proc/sys/kernel/ostype'])), /^Linux$/u);
  });
  test('can not make a tunnel device', () => {
    const kind = ['stat', '--format=%t:%T', '/dev/net/tun'] as const;
    assert.equal(said(outside(kind)), 'a:c8');
    assert.equal(said(inside(kind)), '1:3', 'that is /dev/null');
  });
  test('can not leave a job for cron', () => {
    const script = '(echo job >/var/spool/cron/crontabs/root) 2>/dev/null && echo left || echo refused';
    assert.equal(said(outside(['sh', '-c', script])), 'left');
    assert.equal(said(inside(['sh', '-c', script])), 'refused');
  });
});

describe('a plain user', () => {
  test('does not become root by a set-user-id program', () => {
    assert.equal(said(outside(['/run/suid-id', '-u'], PLAIN)), '0');
    assert.equal(said(inside(['/run/suid-id', '-u'], PLAIN)), String(PLAIN));
  });
  test('may still mount a /proc in namespaces of its own', () => {
    const command = ['unshare', '-Urmpf', '--mount-proc', 'sh', '-c', 'echo $$'] as const;
    assert.equal(said(inside(command, PLAIN)), '1');
  });
});
