import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leaseSeconds } from '../../src/dns/lease.ts';

for (const [ttl, seconds] of [
  [0, 90],
  [59, 90],
  [60, 90],
  [61, 91],
  [300, 330],
  [86_399, 86_429],
  [86_400, 86_430],
  [86_401, 86_430],
  [0x7fffffff, 86_430],
  [0x80000000, 86_430],
  [0xffffffff, 86_430],
] as const) {
  test(`leaseSeconds of TTL ${ttl} is ${seconds}`, () => {
    assert.equal(leaseSeconds(ttl), seconds);
  });
}
