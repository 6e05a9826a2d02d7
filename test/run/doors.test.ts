import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { doorsOf } from '../../src/run/doors.ts';

const caller = { uid: 1000, gid: 1000, groups: [1000] };
const home = mkdtempSync(join(tmpdir(), 'l7egg-doors-'));
after(() => rmSync(home, { recursive: true }));

function hidden(env: NodeJS.ProcessEnv = {}): string[] {
  return doorsOf(caller, { HOME: home, ...env })
    .filter(({ change }) => change === 'hide')
    .map(({ path }) => path);
}

describe('doorsOf', () => {
  test('empties /run, then puts back what is no way out', () => {
    const order = doorsOf(caller, {}).map(({ change, path }) => `${change} ${path}`);
    const places = [
      'empty /run',
      'keep /run/lock',
      'keep /run/systemd/resolve',
      'hide /run/systemd/resolve/io.systemd.Resolve',
    ].map((door) => order.indexOf(door));
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
    );
    assert.ok(!places.includes(-1));
  });
  for (const path of ['/run/user', '/run/systemd', '/run/dbus', '/run/l7egg', '/run/docker']) {
    test(`does not put back ${path}`, () =>
      assert.ok(!doorsOf(caller, {}).some((door) => door.change === 'keep' && door.path === path)));
  }
  test('gives the user an empty runtime directory of its own', () => {
    const doors = doorsOf(caller, {});
    assert.ok(doors.some(({ change, path }) => change === 'own' && path === '/run/user/1000'));
  });
  for (const path of ['/run/udev/control', '/dev/net/tun', '/dev/log']) {
    test(`hides ${path}`, () => assert.ok(hidden().includes(path)));
  }
});

describe('doorsOf hides the socket that the environment names in', () => {
  const path = join(home, 'engine.sock');
  const server = createServer();
  before((_, done) => void server.listen(path, done));
  after(() => server.close());

  const rows = [
    ['DOCKER_HOST', `unix://${path}`],
    ['DBUS_SESSION_BUS_ADDRESS', `unix:path=${path},guid=00ff`],
    ['DBUS_SYSTEM_BUS_ADDRESS', `tcp:host=a,port=1;unix:path=${path}`],
    ['TMUX', `${path},4711,0`],
    ['KITTY_LISTEN_ON', `unix:${path}`],
    ['NVIM', path],
  ] as const;
  for (const [name, value] of rows) {
    test(`${name}=${value.replace(home, '')}`, () => {
      assert.ok(hidden({ [name]: value }).includes(path));
    });
  }
  test('no variable that is not about requests', () => assert.ok(!hidden({ OTHER: path }).includes(path)));
});

describe('doorsOf leaves what the environment names when it is no socket', () => {
  const file = join(home, 'file');
  writeFileSync(file, '');
  mkdirSync(join(home, 'folder'));
  for (const value of [file, join(home, 'folder'), '/', 'tcp://10.0.0.1:2375/', `${file}/below`, '']) {
    test(`DOCKER_HOST=${value.replace(home, '')}`, () =>
      assert.deepEqual(hidden({ DOCKER_HOST: value }), hidden()));
  }
});
