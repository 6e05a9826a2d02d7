import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findCgroupDirectory } from '../../src/run/own-cgroup.ts';

const UNIFIED = '31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n';
const HYBRID =
  '30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n' +
  '31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n';
const CONTAINER = '31 24 0:27 /box/1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n';

describe('findCgroupDirectory finds', () => {
  const rows = [
    ['0::/user.slice/a.scope\n', UNIFIED, '/sys/fs/cgroup/user.slice/a.scope'],
    ['0::/\n', UNIFIED, '/sys/fs/cgroup'],
    ['4:memory:/m\n0::/a\n', HYBRID, '/sys/fs/cgroup/unified/a'],
    ['0::/box/1/a\n', CONTAINER, '/sys/fs/cgroup/a'],
    ['0::/box/1\n', CONTAINER, '/sys/fs/cgroup'],
    ['0::/a\n', '9 1 0:2 / /my\\040tree rw - cgroup2 none rw\n', '/my tree/a'],
  ] as const;
  for (const [membership, mounts, path] of rows) {
    test(`${path} for ${JSON.stringify(membership)}`, () =>
      assert.equal(findCgroupDirectory(membership, mounts).replace(/\/$/u, ''), path));
  }
});

describe('findCgroupDirectory refuses', () => {
  const rows = [
    ['4:memory:/m\n', HYBRID, /cgroup2 is not mounted/u],
    ['0::/a\n', '30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n', /cgroup2 is not mounted/u],
    ['0::/box/10\n', CONTAINER, /"\/box\/10" is outside of what "\/sys\/fs\/cgroup" shows, "\/box\/1"/u],
    ['0::/../x\n', CONTAINER, /is outside/u],
  ] as const;
  for (const [membership, mounts, message] of rows) {
    test(`${JSON.stringify(membership)}: ${message.source}`, () =>
      assert.throws(() => findCgroupDirectory(membership, mounts), { name: 'UnsupportedError', message }));
  }
});
