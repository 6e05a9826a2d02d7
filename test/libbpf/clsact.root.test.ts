import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addClsact,
  attachFilter,
  detachFilter,
  type FilterPlace,
  queryFilter,
  removeClsact,
} from '../../src/libbpf/clsact.ts';
import { loadObject } from '../../src/libbpf/object.ts';
import { countFilters, hasFilterQdisc } from '../../src/netlink/filters.ts';
import { compileFixture, u32 } from './fixture.ts';
import { enterScratchNetns, sendOnLoopback } from './namespace.ts';

const LO = 1;
const EGRESS: FilterPlace = { ifindex: LO, direction: 'egress', handle: 0x17e9, priority: 2 };
const INGRESS: FilterPlace = { ...EGRESS, direction: 'ingress' };
const BEHIND: FilterPlace = { ...EGRESS, priority: 3 };

const object = await loadObject(compileFixture());
enterScratchNetns();
const pass = object.program('pass');
const drop = object.program('drop');
const count = object.program('count');
const runs = object.map('runs');

async function sendAndCount(): Promise<number> {
  const sum = () => (runs.getPerCpu(u32(0)) ?? []).reduce((all, value) => all + value.readUInt32LE(), 0);
  const before = sum();
  await sendOnLoopback();
  return sum() - before;
}

test('addClsact adds the qdisc, and is content when it is there', () => {
  assert.equal(addClsact(LO), true);
  assert.equal(addClsact(LO), false);
});

test('addClsact throws ENODEV for an interface that is not there', () => {
  assert.throws(() => addClsact(4711), { code: 'ENODEV' });
});

test('queryFilter answers undefined where no filter is', () => {
  assert.equal(queryFilter(EGRESS), undefined);
});

test('attachFilter puts the program in force, detachFilter ends it', async () => {
  attachFilter(count, BEHIND);
  assert.equal(await sendAndCount(), 1);
  attachFilter(drop, EGRESS);
  assert.equal(queryFilter(EGRESS), drop.info().id);
  assert.equal(await sendAndCount(), 0);
  assert.equal(detachFilter(EGRESS), true);
  assert.equal(queryFilter(EGRESS), undefined);
  assert.equal(await sendAndCount(), 1);
  detachFilter(BEHIND);
});

test('attachFilter replaces what is at its place', async () => {
  attachFilter(count, BEHIND);
  attachFilter(drop, EGRESS);
  attachFilter(pass, EGRESS);
  assert.equal(queryFilter(EGRESS), pass.info().id);
  assert.equal(await sendAndCount(), 1);
  detachFilter(EGRESS);
  detachFilter(BEHIND);
});

test('attachFilter keeps the directions apart', () => {
  attachFilter(pass, INGRESS);
  assert.equal(queryFilter(INGRESS), pass.info().id);
  assert.equal(queryFilter(EGRESS), undefined);
  detachFilter(INGRESS);
});

test('countFilters tells whether clsact still serves somebody', async () => {
  assert.equal(await countFilters(LO), 0);
  attachFilter(pass, INGRESS);
  attachFilter(pass, EGRESS);
  attachFilter(pass, BEHIND);
  assert.equal(await countFilters(LO), 3);
  detachFilter(EGRESS);
  assert.equal(await countFilters(LO), 2);
  detachFilter(INGRESS);
  detachFilter(BEHIND);
  assert.equal(await countFilters(LO), 0);
});

test('detachFilter answers false where no filter is', () => {
  assert.equal(detachFilter(EGRESS), false);
});

test('removeClsact takes the filters along', () => {
  attachFilter(pass, EGRESS);
  removeClsact(LO);
  assert.equal(queryFilter(EGRESS), undefined);
  assert.equal(detachFilter(EGRESS), false);
});

test('hasFilterQdisc tells clsact, with filters and without', () => {
  assert.equal(hasFilterQdisc(LO), false);
  addClsact(LO);
  assert.equal(hasFilterQdisc(LO), true);
  attachFilter(pass, INGRESS);
  assert.equal(hasFilterQdisc(LO), true);
  removeClsact(LO);
  assert.equal(hasFilterQdisc(LO), false);
});

test('countFilters is 0 without clsact', async () => {
  assert.equal(await countFilters(LO), 0);
});

test('attachFilter throws where no clsact is', () => {
  assert.throws(() => attachFilter(pass, EGRESS), { code: 'EINVAL' });
});
