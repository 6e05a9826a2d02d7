import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, test } from 'node:test';
import {
  parseContainerList,
  parseEvent,
  parsePid,
  parseVersion,
} from '../../src/containers/docker-messages.ts';
import { Lines } from '../../src/containers/unix-http.ts';
import { until } from '../lab/wait.ts';
import { DockerDaemon, type Kept } from './docker-daemon.ts';
import { Recorder } from './recorder.ts';

const WEB = 'a1'.repeat(32);
const DB = 'b2'.repeat(32);
const LIMIT_MS = 5_000;
const processes: ChildProcess[] = [];

/** A container with a process, which is a sleep. */
function running(id: string, name: string, labels: Readonly<Record<string, string>> = {}): Kept {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  processes.push(child);
  return { id, name, labels, pid: child.pid ?? 0 };
}

/** Ends its process, as Docker knows before it tells. */
async function die(kept: Kept): Promise<void> {
  process.kill(kept.pid, 'SIGKILL');
  await once(processes.find(({ pid }) => pid === kept.pid) ?? process, 'exit');
  kept.pid = 0;
}

afterEach(() => {
  for (const child of processes.splice(0)) child.kill('SIGKILL');
});

async function follow(daemon: DockerDaemon): Promise<Recorder> {
  const recorder = new Recorder({ docker: [daemon.path] });
  await recorder.watch.ready;
  return recorder;
}

describe('watchContainers follows Docker:', () => {
  test('what runs is listed with name, labels and pid, what does not run is not', async () => {
    using daemon = new DockerDaemon();
    const web = running(WEB, 'web', { app: 'shop' });
    daemon.containers.set(WEB, web).set(DB, { id: DB, name: 'db', labels: {}, pid: 0 });
    await daemon.start();
    using recorder = await follow(daemon);
    assert.deepEqual(recorder.events, [
      {
        kind: 'started',
        notice: 'listed',
        container: {
          runtime: 'docker',
          id: WEB,
          pid: web.pid,
          names: ['web'],
          labels: new Map([['app', 'shop']]),
          image: 'alpine',
        },
      },
    ]);
    assert.deepEqual(recorder.states, [{ state: 'following', runtime: 'docker', socket: daemon.path }]);
  });

  test('a start is told of, late, and an end', async () => {
    using daemon = new DockerDaemon();
    await daemon.start();
    using recorder = await follow(daemon);
    daemon.tell('create', { id: WEB, name: 'web', labels: {}, pid: 0 });
    const web = running(WEB, 'web');
    daemon.tell('start', web);
    const { container, notice } = await recorder.event('started', WEB);
    assert.equal(notice, 'late');
    assert.equal(container.pid, web.pid);
    await die(web);
    daemon.tell('die', web);
    await recorder.event('ended', WEB);
    daemon.tell('destroy', web);
    assert.deepEqual(recorder.watch.containers, []);
  });

  test('another process after a restart is another start', async () => {
    using daemon = new DockerDaemon();
    const web = running(WEB, 'web');
    daemon.containers.set(WEB, web);
    await daemon.start();
    using recorder = await follow(daemon);
    const before = web.pid;
    await die(web);
    const again = running(WEB, 'web');
    daemon.tell('restart', again);
    await until(() => recorder.events.length === 3, { limitMs: LIMIT_MS, what: 'three events' });
    assert.deepEqual(
      recorder.events.map(({ kind, container }) => [kind, container.pid]),
      [
        ['started', before],
        ['ended', before],
        ['started', again.pid],
      ],
    );
  });

  test('a new name is told', async () => {
    using daemon = new DockerDaemon();
    const web = running(WEB, 'web');
    daemon.containers.set(WEB, web);
    await daemon.start();
    using recorder = await follow(daemon);
    web.name = 'shop';
    daemon.tell('rename', web);
    const { container } = await recorder.event('changed', WEB);
    assert.deepEqual(container.names, ['shop']);
  });

  test('a daemon that restarts is followed again, and what ended meanwhile is told', async () => {
    using daemon = new DockerDaemon();
    const [web, db] = [running(WEB, 'web'), running(DB, 'db')];
    daemon.containers.set(WEB, web).set(DB, db);
    await daemon.start();
    using recorder = await follow(daemon);
    await daemon.stop();
    await recorder.state('down');
    await die(db);
    const from = recorder.states.length;
    await daemon.start();
    await recorder.state('following', from);
    await recorder.event('ended', DB);
    assert.deepEqual(
      recorder.watch.containers.map(({ names }) => names),
      [['web']],
    );
  });

  test('events that are cut anywhere, empty lines and other kinds of events are no matter', async () => {
    using daemon = new DockerDaemon();
    await daemon.start();
    using recorder = await follow(daemon);
    daemon.write('\n\r\n{"Type":"network","Action":"connect","Actor":{"ID":"x"}}\n{"Type":"contai');
    daemon.containers.set(WEB, running(WEB, 'web'));
    daemon.write(`ner","Action":"start","Actor":{"ID":"${WEB}"}}\n`);
    await recorder.event('started', WEB);
  });

  test('Podman is told by its answer, whatever its socket is called', async () => {
    using daemon = new DockerDaemon('Podman Engine');
    daemon.containers.set(WEB, running(WEB, 'web'));
    await daemon.start();
    using recorder = await follow(daemon);
    assert.equal(recorder.watch.containers[0]?.runtime, 'podman');
    assert.deepEqual(
      recorder.watch.states.map(({ runtime }) => runtime),
      ['podman'],
    );
  });
});

describe('watchContainers survives a Docker that', () => {
  const rows: readonly (readonly [
    what: string,
    path: string,
    answer: string,
    status: number,
    reason: RegExp,
  ])[] = [
    ['has an error', '/containers/json', '{"message":"broken"}', 500, /broken.*500$/su],
    ['answers no JSON', '/containers/json', '<html>', 200, /JSON/u],
    ['answers another thing', '/containers/json', '{}', 200, /no list of containers/u],
    ['has an id that is a path', '/containers/json', '[{"Id":"../../images"}]', 200, /"\.\.\/\.\.\/images"/u],
    ['answers without end', '/version', ' '.repeat(5 << 20), 200, /more than 4194304 bytes/u],
    ['sends an endless line', '/events', 'x'.repeat(2 << 20), 200, /line of more than 1048576 bytes/u],
    ['sends events that are none', '/events', 'no json\n', 200, /JSON/u],
  ];
  for (const [what, path, answer, status, reason] of rows) {
    test(what, async () => {
      using daemon = new DockerDaemon();
      daemon.override = (request, response) => {
        if (!request.url?.startsWith(path)) return false;
        response.writeHead(status);
        response.write(answer);
        if (path !== '/events') response.end();
        return true;
      };
      await daemon.start();
      using recorder = await follow(daemon);
      const down = await recorder.state('down');
      assert.match(down.state === 'down' ? down.reason : '', reason);
      assert.deepEqual(recorder.events, []);
    });
  }
});

describe('parseEvent', () => {
  const line = (action: string) => JSON.stringify({ Type: 'container', Action: action, Actor: { ID: WEB } });
  const rows: readonly (readonly [action: string, kind: string | undefined])[] = [
    ['create', 'description'],
    ['start', 'process'],
    ['die', 'process'],
    ['died', 'process'],
    ['destroy', 'gone'],
    ['exec_create: sh', undefined],
    ['health_status: healthy', undefined],
  ];
  for (const [action, kind] of rows) {
    test(action, () => assert.equal(parseEvent(line(action))?.kind, kind));
  }
  test('an image of that id is no container', () => {
    assert.equal(parseEvent(line('create').replace('container', 'image')), undefined);
  });
});

describe('answers of Docker', () => {
  test('a list without labels and names', () => {
    assert.deepEqual(parseContainerList([{ Id: WEB, Labels: null, State: 'created' }]), [
      { id: WEB, hasProcess: false, description: { names: [], labels: new Map() }, leftOut: 0 },
    ]);
  });
  for (const pid of [0, -1, 1.5, '7', undefined, null]) {
    test(`${JSON.stringify(pid)} is no pid`, () =>
      assert.equal(parsePid({ State: { Pid: pid } }), undefined));
  }
  test('a version without components is Docker', () => assert.equal(parseVersion({}), 'docker'));
});

test('Lines gives the lines of chunks of any size', () => {
  const text = Buffer.from('one\n\ntwo\r\nthrée\n');
  for (let size = 1; size <= text.length; size++) {
    const lines = new Lines(10);
    const got: string[] = [];
    for (let at = 0; at < text.length; at += size) got.push(...lines.push(text.subarray(at, at + size)));
    assert.deepEqual(got, ['one', 'two', 'thrée']);
  }
});
