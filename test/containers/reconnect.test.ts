import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import type { RuntimeState } from '../../src/containers/container.ts';
import { Reconnecting, type Session } from '../../src/containers/reconnect.ts';
import { defaultSockets } from '../../src/containers/watch.ts';
import { until } from '../lab/wait.ts';
import { ScratchSocket } from './scratch-socket.ts';

const LIMIT_MS = 10_000;

async function listen(act: (path: string) => Promise<void>): Promise<void> {
  using socket = new ScratchSocket();
  const server = createServer().listen(socket.path);
  await once(server, 'listening');
  await act(socket.path).finally(() => server.close());
}

describe('Reconnecting', () => {
  test('waits longer after each failure, and tells of the same one once', () =>
    listen(async (path) => {
      const atMs: number[] = [];
      const states: RuntimeState[] = [];
      const session: Session = async () => {
        atMs.push(performance.now());
        throw new Error('no');
      };
      using _ = new Reconnecting('containerd', path, session, (state) => states.push(state));
      await until(() => atMs.length === 5, { limitMs: LIMIT_MS, what: 'five sessions' });
      const [a = 0, b = 0, c = 0, d = 0, e = 0] = atMs;
      assert.ok(b - a > 95 && c - b > 195 && d - c > 395 && e - d > 795, atMs.join(' '));
      assert.deepEqual(states, [{ state: 'down', runtime: 'containerd', socket: path, reason: 'no' }]);
    }));

  test('comes back at once after a session that held, and tells each time', () =>
    listen(async (path) => {
      const states: string[] = [];
      let sessions = 0;
      const session: Session = async (onFollowing, signal) => {
        onFollowing('podman');
        sessions += 1;
        if (sessions === 3) await once(signal, 'abort');
      };
      const connection = new Reconnecting('docker', path, session, ({ state, runtime }) =>
        states.push(`${state} ${runtime}`),
      );
      await until(() => sessions === 3, { limitMs: LIMIT_MS, what: 'three sessions' });
      connection.close();
      connection.close();
      assert.deepEqual(states, [
        'following podman',
        'down podman',
        'following podman',
        'down podman',
        'following podman',
      ]);
    }));

  test('tells that there is no socket', async () => {
    using socket = new ScratchSocket();
    const states: RuntimeState[] = [];
    using _ = new Reconnecting(
      'docker',
      socket.path,
      async () => assert.fail('a session without a socket'),
      (state) => states.push(state),
    );
    assert.deepEqual(states, [{ state: 'absent', runtime: 'docker', socket: socket.path }]);
  });
});

describe('defaultSockets', () => {
  const rows: readonly (readonly [
    environment: Record<string, string>,
    containerd: string,
    docker: string,
  ])[] = [
    [{}, '/run/containerd/containerd.sock', '/run/docker.sock'],
    [{ CONTAINERD_ADDRESS: '/x/c.sock' }, '/x/c.sock', '/run/docker.sock'],
    [{ CONTAINERD_ADDRESS: 'unix:///x/c.sock' }, '/x/c.sock', '/run/docker.sock'],
    [{ DOCKER_HOST: 'unix:///x/d.sock' }, '/run/containerd/containerd.sock', '/x/d.sock'],
    [{ DOCKER_HOST: 'tcp://192.0.2.1:2375' }, '/run/containerd/containerd.sock', '/run/docker.sock'],
    [{ DOCKER_HOST: '' }, '/run/containerd/containerd.sock', '/run/docker.sock'],
  ];
  for (const [environment, containerd, docker] of rows) {
    test(JSON.stringify(environment), () => {
      const sockets = defaultSockets(environment);
      assert.deepEqual([sockets.containerd[0], sockets.docker[0]], [containerd, docker]);
    });
  }
});
