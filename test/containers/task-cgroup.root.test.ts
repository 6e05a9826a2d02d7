/*
 * A container whose runtime made no cgroup2 for it: the tree of `unshare --pid`, in the cgroup of this process.
 *
 *   here ── unshare ── first (pid 1 of a namespace) ── child      nsenter ── exec, in the same pid namespace
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import type { Container } from '../../src/containers/container.ts';
import { openTaskCgroup, removeEmptyTaskCgroups } from '../../src/containers/task-cgroup.ts';
import { SystemError } from '../../src/errors.ts';
import { cgroup2PathOf, cgroupOfPid } from '../../src/libbpf/cgroup2.ts';
import { cleanEnvironment } from '../lab/command.ts';
import { Process } from '../lab/process.ts';
import { until } from '../lab/wait.ts';

const here = cgroupOfPid(process.pid);
const LIMIT = { limitMs: 5_000, what: 'a child' };

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

async function childOf(pid: number): Promise<number> {
  const [child] = await until(() => {
    const children = childrenOf(pid);
    return children.length > 0 && children;
  }, LIMIT);
  return child ?? 0;
}

function pidsIn(directory: string): number[] {
  return readFileSync(`${directory}/cgroup.procs`, 'utf8').split('\n').filter(Boolean).map(Number);
}

describe('openTaskCgroup, where a container is in the cgroup of others,', () => {
  let tree: Process;
  let container: Container;
  let child: number;

  beforeEach(async () => {
    const script = 'sleep 1000 & while read -r line; do sleep 1000 & done; wait';
    tree = new Process(
      ['unshare', '--pid', '--fork', '--kill-child', 'sh', '-c', script],
      cleanEnvironment(),
      'container',
    );
    const first = await childOf(tree.pid);
    child = await childOf(first);
    container = { runtime: 'containerd', namespace: 'x', id: '..', names: [], labels: new Map(), pid: first };
  });
  afterEach(() => tree.close());
  after(() => {
    assert.deepEqual(removeEmptyTaskCgroups(), []);
  });

  test('makes one below it, with all of the container and nothing else', () => {
    using cgroup = openTaskCgroup(container);
    assert.equal(cgroup.isOurs, true);
    assert.match(cgroup.directory.slice(here.length), /^\/l7egg-[0-9a-f]{16}$/u);
    assert.ok(cgroup.directory.startsWith(here));
    assert.deepEqual(pidsIn(cgroup.directory).sort(), [container.pid, child].sort());
    assert.equal(cgroupOfPid(process.pid), here);
    assert.equal(cgroupOfPid(tree.pid), here);
  });

  test('puts the processes back and removes it when it is closed, twice as well', () => {
    const cgroup = openTaskCgroup(container);
    cgroup.close();
    cgroup.close();
    assert.ok(!existsSync(cgroup.directory));
    assert.equal(cgroupOfPid(container.pid), here);
    assert.equal(cgroupOfPid(child), here);
  });

  test('takes in what was started in its pid namespace from outside', async () => {
    const inside = ['nsenter', `--pid=/proc/${container.pid}/ns/pid`, 'sleep', '1000'];
    using entered = new Process(inside, cleanEnvironment(), 'exec');
    const exec = await childOf(entered.pid);
    using cgroup = openTaskCgroup(container);
    assert.ok(pidsIn(cgroup.directory).includes(exec));
    assert.ok(!pidsIn(cgroup.directory).includes(entered.pid));
  });

  test('takes in what is started later, told by its pid', async () => {
    using cgroup = openTaskCgroup(container);
    const inside = ['nsenter', `--pid=/proc/${container.pid}/ns/pid`, 'sleep', '1000'];
    using entered = new Process(inside, cleanEnvironment(), 'exec');
    const exec = await childOf(entered.pid);
    assert.ok(!pidsIn(cgroup.directory).includes(exec));
    cgroup.adopt(exec);
    assert.ok(pidsIn(cgroup.directory).includes(exec));
  });

  test('finds the one that a killed process made', () => {
    const left = openTaskCgroup(container);
    using found = openTaskCgroup(container);
    assert.equal(found.directory, left.directory);
    assert.equal(found.isOurs, true);
  });

  test('leaves none behind when the container ended', async () => {
    const cgroup = openTaskCgroup(container);
    await tree.stop();
    cgroup.close();
    assert.ok(!existsSync(cgroup.directory));
  });

  test('says that a process which ended is gone', async () => {
    await tree.stop();
    assert.throws(
      () => openTaskCgroup(container),
      (thrown) => thrown instanceof SystemError && thrown.code === 'ESRCH',
    );
  });

  test('removeEmptyTaskCgroups removes what no process is in, and keeps the others', async () => {
    const cgroup = openTaskCgroup(container);
    assert.deepEqual(removeEmptyTaskCgroups(), []);
    assert.ok(cgroup2PathOf(container.pid).includes('/l7egg-'));
    await tree.stop();
    assert.deepEqual(removeEmptyTaskCgroups(), [cgroup.directory]);
  });
});
