import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { SystemError, UsageError } from '../../src/errors.ts';
import { cgroup2PathOf, cgroupOfPid, needCgroup2 } from '../../src/libbpf/cgroup2.ts';
import { cgroupOfUnit } from '../../src/libbpf/unit-cgroup.ts';
import { Scope } from '../../src/scope.ts';

/** Makes a cgroup, and those above it that are not there. */
function makeCgroup(scope: Scope, path: string): string {
  const directory = join(needCgroup2(), path);
  const first = mkdirSync(directory, { recursive: true });
  scope.defer(() => {
    for (let at = directory; first !== undefined && at.startsWith(first); at = dirname(at)) rmdirSync(at);
  });
  return directory;
}

describe('cgroupOfPid', () => {
  test('is below the mount, with the path that /proc tells', () => {
    const path = cgroup2PathOf(process.pid);
    assert.equal(cgroupOfPid(process.pid), `${needCgroup2()}${path === '/' ? '' : path}`);
  });

  test('says that a process is gone', () => {
    assert.throws(
      () => cgroupOfPid(9_999_999),
      (thrown) => thrown instanceof SystemError && thrown.code === 'ESRCH',
    );
  });
});

describe('cgroupOfUnit', () => {
  const slice = `l7t${process.pid}.slice`;
  const unit = `l7t-${process.pid}.service`;

  test('finds a unit below its slices', () => {
    using scope = new Scope();
    const directory = makeCgroup(scope, `${slice}/${unit}`);
    assert.equal(cgroupOfUnit(unit), directory);
  });

  test('says where one of that name is that belongs to a user, and how to mean it', () => {
    using scope = new Scope();
    const path = `/${slice}/user@1000.service/${unit}`;
    makeCgroup(scope, path);
    assert.throws(
      () => cgroupOfUnit(unit),
      (thrown) => thrown instanceof UsageError && thrown.message.includes(`"${path}"`),
    );
  });

  test('says that there is none', () => {
    assert.throws(
      () => cgroupOfUnit(unit),
      (thrown) => thrown instanceof UsageError && thrown.message.includes(`unit "${unit}" has no cgroup`),
    );
  });
});
