import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findCgroup2, parseCgroup2Path } from '../../src/libbpf/cgroup2.ts';
import { findUnit } from '../../src/libbpf/unit-cgroup.ts';

describe('findCgroup2', () => {
  const tmpfs = '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755';
  const v1 = '40 31 0:37 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,name=systemd';
  const rows: readonly (readonly [what: string, lines: readonly string[], path: string | undefined])[] = [
    ['alone', ['29 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate'], '/sys/fs/cgroup'],
    [
      'beside v1 hierarchies',
      [tmpfs, v1, '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw'],
      '/sys/fs/cgroup/unified',
    ],
    ['with a blank in its path', ['41 31 0:38 / /mnt/c\\0402 rw - cgroup2 none rw'], '/mnt/c 2'],
    ['not there', [tmpfs, v1], undefined],
    ['only a part of the tree', ['41 31 0:38 /a/b /sys/fs/cgroup rw - cgroup2 cgroup2 rw'], undefined],
    ['called so only', ['41 31 0:38 / /cgroup2 rw - tmpfs cgroup2 rw'], undefined],
  ];
  for (const [what, lines, path] of rows) {
    test(what, () => assert.equal(findCgroup2(`${lines.join('\n')}\n`), path));
  }
});

describe('parseCgroup2Path', () => {
  const rows: readonly (readonly [text: string, path: string | undefined])[] = [
    ['0::/system.slice/unbound.service\n', '/system.slice/unbound.service'],
    ['9:name=systemd:/x\n1:cpu:/y\n0::/z\n', '/z'],
    ['0::/\n', '/'],
    ['9:name=systemd:/x\n', undefined],
    ['0::/gone (deleted)\n', undefined],
    ['0::/../other\n', undefined],
    ['1:name=0::/x\n', undefined],
    ['', undefined],
  ];
  for (const [text, path] of rows) {
    test(JSON.stringify(text), () => assert.equal(parseCgroup2Path(text), path));
  }
});

describe('findUnit', () => {
  const isSlice = (name: string) => name.endsWith('.slice');
  let root: string;

  before(() => {
    root = mkdtempSync(join(tmpdir(), 'l7egg-units-'));
    for (const path of [
      'system.slice/unbound.service/inner.service',
      'system.slice/system-getty.slice/getty@tty1.service',
      'system.slice/_cpu.service',
      'system.slice/docker-1.scope/system.slice/evil.service',
      'user.slice/user-1000.slice/user@1000.service/app.slice/mine.service',
      'user.slice/user-1000.slice/session-1.scope',
      'a.service/unbound.service',
    ]) {
      mkdirSync(join(root, path), { recursive: true });
    }
  });
  after(() => rmSync(root, { recursive: true }));

  const rows: readonly (readonly [unit: string, path: string | undefined])[] = [
    ['unbound.service', 'system.slice/unbound.service'],
    ['getty@tty1.service', 'system.slice/system-getty.slice/getty@tty1.service'],
    ['system-getty.slice', 'system.slice/system-getty.slice'],
    ['cpu.service', 'system.slice/_cpu.service'],
    ['session-1.scope', 'user.slice/user-1000.slice/session-1.scope'],
    ['user@1000.service', 'user.slice/user-1000.slice/user@1000.service'],
    ['evil.service', undefined],
    ['inner.service', undefined],
    ['mine.service', undefined],
  ];
  for (const [unit, path] of rows) {
    test(unit, () => {
      assert.deepEqual(findUnit(root, unit, isSlice), path === undefined ? [] : [join(root, path)]);
    });
  }
});
