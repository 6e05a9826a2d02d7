import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSoftOpenFiles, runConfined } from '../../src/run/confine.ts';

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 1048576              files
`;

test('parseSoftOpenFiles reads the soft limit', () => assert.equal(parseSoftOpenFiles(LIMITS), 1024));

test('parseSoftOpenFiles answers undefined for none', () =>
  assert.equal(parseSoftOpenFiles(LIMITS.replace('1024 ', 'unlimited')), undefined));

test('runConfined says how to get a launcher that is not there', async () => {
  const caller = { uid: 1, gid: 1, groups: [] };
  const confinement = { command: ['true'], env: {}, caller, doors: [], cgroupProcs: '/nowhere' } as const;
  await assert.rejects(
    runConfined('/nowhere/l7egg-confine', confinement, () => {}),
    { name: 'UnsupportedError', message: /Cannot find "\/nowhere\/l7egg-confine": .* run `make`/u },
  );
  assert.equal(process.listenerCount('SIGUSR2'), 0);
});
