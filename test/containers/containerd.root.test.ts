/*
 *   watch ── unix socket ── containerd ── shim ── runc ── busybox
 *
 * All of them are real; containerd has its own root, state and socket. What it takes for runc can hold up `runc start`,
 * where a container waits after it was created.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { openTaskCgroup } from '../../src/containers/task-cgroup.ts';
import { netnsOfPid } from '../../src/containers/task-netns.ts';
import { cgroup2Mount, cgroupOfPid } from '../../src/libbpf/cgroup2.ts';
import { until, untilSync } from '../lab/wait.ts';
import { Containerd } from './containerd.ts';
import { Recorder } from './recorder.ts';

const daemon = new Containerd();
const one = daemon.namespace('one');
const two = daemon.namespace('two');

before(async () => {
  await daemon.start();
  for (const namespace of [one, two]) daemon.importImage(namespace);
});
afterEach(() => daemon.endAll());
after(() => daemon.close());

function commOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
}

/** Whether the real `runc start` of that container is under way. */
function isStarting(id: string): boolean {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .some((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return commOf(Number(pid)) === 'runc' && words.endsWith(`\0start\0${id}\0`);
      } catch {
        return false; // it ended
      }
    });
}

describe('watchContainers follows containerd:', () => {
  test('what runs when it begins is told of as listed, and is there once it is ready', async () => {
    await daemon.run({ namespace: one, id: 'early', labels: { tier: 'db' } });
    using recorder = new Recorder({ containerd: [daemon.socket] });
    await recorder.watch.ready;
    const [container] = recorder.watch.containers;
    assert.deepEqual(recorder.events, [{ kind: 'started', container, notice: 'listed' }]);
    assert.equal(container?.id, 'early');
    assert.equal(container?.namespace, one);
    assert.equal(container?.runtime, 'containerd');
    assert.equal(container?.labels.get('tier'), 'db');
    assert.equal(container?.image, 'l7egg.test/busybox:1');
    assert.equal(commOf(container?.pid ?? 0), 'sleep');
    assert.deepEqual(recorder.states, [{ state: 'following', runtime: 'containerd', socket: daemon.socket }]);
    daemon.end(one, 'early');
    await recorder.event('ended', 'early');
    assert.deepEqual(recorder.watch.containers, []);
  });

  test('a container is told of before its program runs, with pid, labels, cgroup and network namespace', async () => {
    const gate = join(daemon.directory, 'gate');
    using recorder = new Recorder({ containerd: [daemon.socket] });
    await recorder.watch.ready;
    const running = daemon.run({
      namespace: one,
      id: 'held',
      labels: { 'nerdctl/name': 'web', app: 'shop' },
      options: ['--runc-binary', daemon.heldRunc(gate)],
    });
    const { container } = await recorder.event('created', 'held');
    assert.equal(commOf(container.pid), 'runc:[2:INIT]');
    assert.equal(container.labels.get('app'), 'shop');
    assert.deepEqual(container.names, ['web']);
    const cgroup = cgroupOfPid(container.pid);
    assert.equal(cgroup, `${cgroup2Mount()}/${one}/held`);
    assert.deepEqual(readFileSync(`${cgroup}/cgroup.procs`, 'utf8'), `${container.pid}\n`);
    using taskCgroup = openTaskCgroup(container);
    assert.equal(taskCgroup.directory, cgroup);
    assert.equal(taskCgroup.isOurs, false);
    using netns = netnsOfPid(container.pid);
    using own = netnsOfPid(process.pid);
    assert.notEqual(netns.inode, own.inode);
    assert.deepEqual(recorder.summary(), ['created held']);

    writeFileSync(gate, '');
    await running;
    const started = await recorder.event('started', 'held');
    assert.equal(started.notice, 'in-time');
    assert.equal(started.container.pid, container.pid);
    await until(() => commOf(container.pid) === 'sleep', { limitMs: 5_000, what: 'the program' });
    assert.equal(cgroupOfPid(container.pid), cgroup);
    using later = netnsOfPid(container.pid);
    assert.equal(later.inode, netns.inode);

    daemon.end(one, 'held');
    await recorder.event('ended', 'held');
    assert.deepEqual(recorder.summary(), ['created held', 'started held', 'ended held']);
  });

  test('with hold, a container that was told to start waits until its created was handled', async () => {
    const gate = join(daemon.directory, 'hold');
    const seen: string[] = [];
    using recorder = new Recorder({ containerd: [daemon.socket], hold: true }, (event) => {
      if (event.kind !== 'created') return;
      writeFileSync(gate, '');
      untilSync(() => isStarting('waits'), { limitMs: 10_000, what: '`runc start`' });
      seen.push(`${event.isHeld} ${commOf(event.container.pid)}`);
    });
    await recorder.watch.ready;
    await daemon.run({ namespace: one, id: 'waits', options: ['--runc-binary', daemon.heldRunc(gate)] });
    await recorder.event('started', 'waits');
    assert.deepEqual(seen, ['true runc:[2:INIT]']);
    assert.deepEqual(recorder.summary(), ['created waits', 'started waits']);
    daemon.end(one, 'waits');
    await recorder.event('ended', 'waits');
  });

  test('containers of the same id in two namespaces are two', async () => {
    using recorder = new Recorder({ containerd: [daemon.socket] });
    await recorder.watch.ready;
    await daemon.run({ namespace: one, id: 'twin' });
    await daemon.run({ namespace: two, id: 'twin' });
    const namespaces = () => recorder.watch.containers.map(({ namespace }) => namespace).sort();
    await until(() => namespaces().length === 2, { limitMs: 5_000, what: 'both' });
    assert.deepEqual(namespaces(), [one, two]);
    daemon.end(one, 'twin');
    await recorder.event('ended', 'twin');
    assert.deepEqual(namespaces(), [two]);
    daemon.end(two, 'twin');
    await until(() => namespaces().length === 0, { limitMs: 5_000, what: 'the end of both' });
  });

  test('one that ends by itself, and at once, is told of in order', async () => {
    using recorder = new Recorder({ containerd: [daemon.socket] });
    await recorder.watch.ready;
    await daemon.run({ namespace: one, id: 'brief', command: ['/bin/echo', 'hello'] });
    await recorder.event('ended', 'brief');
    assert.deepEqual(recorder.summary(), ['created brief', 'started brief', 'ended brief']);
  });

  test('another process in it, and other labels, are told', async () => {
    using recorder = new Recorder({ containerd: [daemon.socket] });
    await recorder.watch.ready;
    await daemon.run({ namespace: one, id: 'busy', labels: { tier: 'web' } });
    daemon.exec(one, 'busy', 'more', ['/bin/sleep', '1000']);
    const exec = await recorder.event('exec', 'busy');
    assert.equal(commOf(exec.pid), 'sleep');
    assert.notEqual(exec.pid, exec.container.pid);
    daemon.ctr(['-n', one, 'containers', 'label', 'busy', 'tier=db']);
    const { container } = await recorder.event('changed', 'busy');
    assert.equal(container.labels.get('tier'), 'db');
    daemon.ctr(['-n', one, 'tasks', 'kill', '-s', 'KILL', '--exec-id', 'more', 'busy']);
    await until(() => !existsSync(`/proc/${exec.pid}`), { limitMs: 5_000, what: 'the end of the exec' });
    assert.deepEqual(
      recorder.watch.containers.map(({ id }) => id),
      ['busy'],
    );
    daemon.end(one, 'busy');
    await recorder.event('ended', 'busy');
  });

  test('containers outlive a restart of the daemon, and what happened meanwhile is told', async () => {
    using recorder = new Recorder({ containerd: [daemon.socket] });
    await recorder.watch.ready;
    await daemon.run({ namespace: one, id: 'stays' });
    await daemon.run({ namespace: two, id: 'leaves' });
    const stays = await recorder.event('started', 'stays');
    const leaves = await recorder.event('started', 'leaves');
    await daemon.stop();
    const down = await recorder.state('down');
    assert.ok(down.state === 'down' && down.reason.includes(daemon.socket), JSON.stringify(down));
    assert.equal(recorder.watch.containers.length, 2);

    process.kill(leaves.container.pid, 'SIGKILL');
    const from = recorder.states.length;
    await daemon.start();
    await recorder.state('following', from);
    await recorder.event('ended', 'leaves');
    assert.deepEqual(
      recorder.watch.containers.map(({ id, pid }) => ({ id, pid })),
      [{ id: 'stays', pid: stays.container.pid }],
    );
    await daemon.run({ namespace: one, id: 'after' });
    await recorder.event('created', 'after');
    assert.equal(recorder.summary().filter((each) => each.endsWith(' stays')).length, 2);
  });

  test('a daemon that is not there is told of, and found when it comes', async () => {
    using late = new Containerd();
    const namespace = late.namespace('late');
    using recorder = new Recorder({ containerd: [late.socket] });
    await recorder.watch.ready;
    assert.deepEqual(recorder.states, [{ state: 'absent', runtime: 'containerd', socket: late.socket }]);
    await late.start();
    await recorder.state('following');
    late.importImage(namespace);
    await late.run({ namespace, id: 'first' });
    await recorder.event('created', 'first');
    late.endAll();
  });
});
