import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { ContainerEvent } from '../../src/containers/container.ts';
import { Followed, type Sighting } from '../../src/containers/followed.ts';

const ID = 'c3'.repeat(32);
const DESCRIPTION = { names: ['web'], labels: new Map([['app', 'shop']]) };
const containerd = { socket: '/containerd.sock' };
const docker = { socket: '/docker.sock' };

describe('Followed, told of the same container by containerd and Docker,', () => {
  let child: ChildProcess;
  let events: ContainerEvent[];
  let followed: Followed;
  const sighting = (given: Partial<Sighting> = {}): Sighting => ({
    runtime: 'docker',
    namespace: 'moby',
    id: ID,
    pid: child.pid ?? 0,
    phase: 'started',
    notice: 'late',
    ...given,
  });
  const byDocker = (): Sighting => {
    const { namespace, ...rest } = sighting();
    return rest;
  };
  const kinds = () => events.map(({ kind }) => kind);

  beforeEach(() => {
    child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    events = [];
    followed = new Followed(
      (event) => events.push(event),
      (text) => assert.fail(text),
    );
  });
  afterEach(() => child.kill('SIGKILL'));

  async function kill(): Promise<void> {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  test('tells of it once', () => {
    followed.seen(containerd, sighting({ phase: 'created', isHeld: true }), DESCRIPTION);
    followed.seen(docker, byDocker(), DESCRIPTION);
    followed.seen(containerd, sighting(), DESCRIPTION);
    assert.deepEqual(kinds(), ['created', 'started']);
    assert.deepEqual(
      events.map((event) => ('notice' in event ? event.notice : 'isHeld' in event && event.isHeld)),
      [true, 'in-time'],
    );
  });

  test('leaves the end to containerd', () => {
    followed.seen(containerd, sighting(), DESCRIPTION);
    followed.ended(docker, { id: ID });
    followed.listed(docker, [], followed.now());
    assert.deepEqual(kinds(), ['started']);
    followed.ended(containerd, { id: ID, namespace: 'moby' }, child.pid);
    assert.deepEqual(kinds(), ['started', 'ended']);
  });

  test('lets containerd take over what Docker told of first', () => {
    followed.seen(docker, byDocker(), DESCRIPTION);
    followed.seen(containerd, sighting(), DESCRIPTION);
    followed.ended(docker, { id: ID });
    assert.deepEqual(kinds(), ['started']);
    assert.equal(followed.containers[0]?.namespace, 'moby');
  });

  test("takes Docker's names", () => {
    followed.seen(containerd, sighting(), { names: [], labels: new Map() });
    followed.described({ id: ID }, DESCRIPTION);
    followed.described({ id: ID }, { names: ['web'], labels: new Map([['app', 'shop']]) });
    assert.deepEqual(kinds(), ['started', 'changed']);
    assert.deepEqual(followed.containers[0]?.names, ['web']);
  });

  test('does not believe an older pid while the process of the newer one is there', () => {
    followed.seen(containerd, sighting(), DESCRIPTION);
    followed.seen(docker, { ...byDocker(), pid: 9_999_999 }, DESCRIPTION);
    assert.deepEqual(kinds(), ['started']);
    assert.equal(followed.containers[0]?.pid, child.pid);
  });

  test('believes another pid when the process is gone', async () => {
    followed.seen(containerd, sighting(), DESCRIPTION);
    await kill();
    followed.seen(docker, { ...byDocker(), pid: process.pid }, DESCRIPTION);
    assert.deepEqual(kinds(), ['started', 'ended', 'started']);
  });

  test('does not take the end of the last process for that of the next', () => {
    followed.seen(containerd, sighting(), DESCRIPTION);
    followed.ended(containerd, { id: ID, namespace: 'moby' }, 9_999_999);
    assert.deepEqual(kinds(), ['started']);
  });

  test('keeps what a list leaves out while its process is there, and ends it after', async () => {
    followed.seen(containerd, sighting(), DESCRIPTION);
    followed.listed(containerd, [], followed.now());
    assert.deepEqual(kinds(), ['started']);
    await kill();
    followed.listed(containerd, [], followed.now());
    assert.deepEqual(kinds(), ['started', 'ended']);
  });

  test('tells of another process in it, and of none in one that is not followed', () => {
    followed.execStarted({ id: ID, namespace: 'moby' }, 7);
    followed.seen(containerd, sighting(), DESCRIPTION);
    followed.execStarted({ id: ID, namespace: 'moby' }, 7);
    assert.deepEqual(kinds(), ['started', 'exec']);
  });
});
