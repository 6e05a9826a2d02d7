import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { holdsCgroup, ownCgroupPath } from '../../src/containers/own-cgroup.ts';

const ID = 'c0ffee00'.repeat(8);

describe('ownCgroupPath', () => {
  const rows: readonly (readonly [path: string, id: string, namespace: string | undefined, own: string])[] = [
    [`/docker/${ID}`, ID, 'moby', `/docker/${ID}`],
    [`/docker/${ID}/init.scope`, ID, 'moby', `/docker/${ID}`],
    [`/system.slice/docker-${ID}.scope/init`, ID, undefined, `/system.slice/docker-${ID}.scope`],
    [`/machine.slice/libpod-${ID}.scope/container`, ID, undefined, `/machine.slice/libpod-${ID}.scope`],
    [`/libpod_parent/libpod-${ID}/inner`, ID, undefined, `/libpod_parent/libpod-${ID}`],
    [`/x/libpod-${ID}0/libpod-${ID}`, ID, undefined, `/x/libpod-${ID}0/libpod-${ID}`],
    [`/kubepods/pod1/${ID}`, ID, 'k8s.io', `/kubepods/pod1/${ID}`],
    [`/docker/${ID}/below/${ID}`, ID, 'moby', `/docker/${ID}`],
    ['/default/web', 'web', 'default', '/default/web'],
    ['/default/web/inner', 'web', 'default', '/default/web'],
    ['/default/default', 'default', 'default', '/default/default'],
    ['/web/other/inner', 'web', 'default', '/web/other/inner'],
    ['/custom.slice/inner', 'web', 'default', '/custom.slice/inner'],
    ['/', 'web', 'default', '/'],
  ];
  for (const [path, id, namespace, own] of rows) {
    test(`of "${path.replaceAll(ID, 'ID')}" for ${id === ID ? 'ID' : id}`, () => {
      assert.equal(ownCgroupPath(path, { id, ...(namespace !== undefined && { namespace }) }), own);
    });
  }
});

describe('holdsCgroup', () => {
  const rows: readonly (readonly [path: string, other: string, holds: boolean])[] = [
    ['/', '/a', true],
    ['/a', '/a', true],
    ['/a', '/a/b', true],
    ['/a', '/ab', false],
    ['/a/b', '/a', false],
  ];
  for (const [path, other, holds] of rows) {
    test(`"${path}" and "${other}": ${holds}`, () => assert.equal(holdsCgroup(path, other), holds));
  }
});
