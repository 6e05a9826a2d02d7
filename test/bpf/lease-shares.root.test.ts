/*
 * Lease records when rules come and go: nothing is stuck, nothing grows past its share, and who restarts finds both.
 */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { fillSlot } from '../../src/datapath/fill-slot.ts';
import { LIMITS } from '../../src/datapath/layout.ts';
import { readShares, settleRecords, sharesOf } from '../../src/datapath/lease-shares.ts';
import { addRuleStates, freeIdleSlot, idleSlot, switchSlot } from '../../src/datapath/policy-slot.ts';
import { useHarness } from './harness.ts';
import { compile, type PolicySpec } from './policy-builder.ts';

const ALL = LIMITS.MAX_LEASE_RECORDS;
const SHARE = 64;
const ALONE: PolicySpec = { rules: { 5: { cn: '.example.com', share: SHARE } } };
const SMALLER: PolicySpec = { rules: { 5: { cn: '.example.com', share: 16 } } };
const datapath = await useHarness('egress');

beforeEach(async () => {
  await datapath.ensure({});
  await datapath.ensure(ALONE);
  datapath.forgetLeases();
});

/** So many addresses from the `first` of 11.0.0.0/8 on. */
function addresses(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const host = first + index;
    return `11.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`;
  });
}

function learnedOf(all: readonly string[]): number {
  return all.filter((address) => datapath.leases(address).some(({ seconds }) => seconds > 0)).length;
}

test('a full share whose leases have ended takes as many again', async () => {
  await datapath.apply({ rules: { 5: { cn: '.example.com', share: ALL } } });
  datapath.teach([5], addresses(0, ALL));
  datapath.endLeases();
  const fresh = addresses(0x200000, 1000);
  datapath.teach([5], fresh);
  assert.deepEqual([learnedOf(fresh), datapath.learnedCount()], [1000, ALL]);
});

test('leases that have ended, and have no place in a smaller share, are gone', async () => {
  const own = addresses(0, SHARE);
  datapath.teach([5], own);
  datapath.endLeases();
  await datapath.apply(SMALLER);
  assert.equal(datapath.learnedCount(), 16);
  datapath.teach([5], own);
  assert.deepEqual([learnedOf(own), datapath.learnedCount()], [16, 16]);
});

test('what was learned between a kill after the switch and the next start has no more than its share', async () => {
  const policy = compile(
    { rules: { 1: { cn: '.example.net', share: SHARE }, 5: { cn: '.example.com', share: SHARE } } },
    datapath.shares,
  );
  datapath.teach([5], addresses(0, 1));
  await fillSlot(datapath.state, idleSlot(datapath.state), policy);
  datapath.teach([5], addresses(100, 30));
  await addRuleStates(datapath.state, policy.rules);
  switchSlot(datapath.state, policy); // killed here
  datapath.endLeases();
  await freeIdleSlot(datapath.state);
  datapath.shares = sharesOf(policy.rules);
  settleRecords(datapath.state, datapath.shares);
  datapath.teach([5], addresses(1000, 2 * SHARE));
  assert.equal(datapath.learnedCount(), SHARE);
});

test('live leases of a withdrawn rule are gone, and another rule learns in their place', async () => {
  const half = ALL / 2;
  await datapath.apply({
    rules: { 5: { cn: '.example.com', share: half }, 6: { cn: '.example.net', share: half } },
  });
  const [withdrawn, kept, fresh] = [
    addresses(0, half),
    addresses(0x200000, half),
    addresses(0x400000, 20_000),
  ];
  datapath.teach([5], withdrawn, 86_400);
  datapath.teach([6], kept, 86_400);
  await datapath.apply({
    rules: { 6: { cn: '.example.net', share: half }, 7: { cn: '.example.org', share: half } },
  });
  datapath.teach([7], fresh);
  assert.deepEqual(
    [learnedOf(withdrawn.slice(0, 100)), learnedOf(kept), learnedOf(fresh)],
    [0, half, 20_000],
  );
});

const IMPOSSIBLE: readonly (readonly [what: string, ringBase: unknown, ringLength: unknown])[] = [
  ['past the end', 1e9, SHARE],
  ['before the start', -ALL, SHARE],
  ['across the halves', ALL - 1, SHARE],
  ['no number', 'x', SHARE],
  ['no length', 0, 0],
  ['over another', 500, SHARE],
];
for (const [what, ringBase, ringLength] of IMPOSSIBLE) {
  test(`shares of a record that are impossible count as none: ${what}`, () => {
    const good = { id: 1, share: { ringBase: 510, ringLength: 10 } };
    assert.equal(readShares([good]).size, 1);
    const bad = JSON.parse(JSON.stringify({ id: 2, share: { ringBase, ringLength } }));
    assert.equal(readShares([good, bad]).size, 0);
  });
}
