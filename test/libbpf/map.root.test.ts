import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { BPF_F_NO_PREALLOC, BpfMap, type MapShape } from '../../src/libbpf/map.ts';
import { MapType, possibleCpus } from '../../src/libbpf/map-info.ts';
import { loadObject } from '../../src/libbpf/object.ts';
import { unpin } from '../../src/libbpf/pin.ts';
import { BpfProgram } from '../../src/libbpf/program.ts';
import { compileFixture, FRAME, mountScratchBpffs, u32, u64 } from './fixture.ts';

const fixture = compileFixture();
const bpffs = mountScratchBpffs();
const HASH: MapShape = { mapType: MapType.hash, name: 'hash', keyBytes: 4, valueBytes: 8, maxEntries: 2 };

test('BpfMap.info tells the shape', () => {
  using map = BpfMap.create(HASH);
  const { id, ...shape } = map.info;
  assert.deepEqual(shape, { ...HASH, flags: 0 });
  assert.ok(id > 0);
});

test('BpfMap.get answers what was set', () => {
  using map = BpfMap.create(HASH);
  map.set(u32(1), u64(10n));
  assert.deepEqual(map.get(u32(1)), u64(10n));
});

test('BpfMap.get answers undefined for an absent key', () => {
  using map = BpfMap.create(HASH);
  assert.equal(map.get(u32(1)), undefined);
});

test('BpfMap.set replaces', () => {
  using map = BpfMap.create(HASH);
  map.set(u32(1), u64(10n));
  map.set(u32(1), u64(11n));
  assert.deepEqual(map.get(u32(1)), u64(11n));
});

test('BpfMap.insert answers false for a key that is there and leaves its value', () => {
  using map = BpfMap.create(HASH);
  assert.equal(map.insert(u32(1), u64(10n)), true);
  assert.equal(map.insert(u32(1), u64(11n)), false);
  assert.deepEqual(map.get(u32(1)), u64(10n));
});

test('BpfMap.set throws E2BIG when the map is full', () => {
  using map = BpfMap.create(HASH);
  map.set(u32(1), u64(1n));
  map.set(u32(2), u64(2n));
  assert.throws(() => map.set(u32(3), u64(3n)), {
    code: 'E2BIG',
    message: 'Cannot set a key of map "hash": E2BIG',
  });
});

test('BpfMap.delete answers whether the key was there', () => {
  using map = BpfMap.create(HASH);
  map.set(u32(1), u64(10n));
  assert.equal(map.delete(u32(1)), true);
  assert.equal(map.delete(u32(1)), false);
  assert.equal(map.get(u32(1)), undefined);
});

test('BpfMap refuses keys and values of another size', () => {
  using map = BpfMap.create(HASH);
  assert.throws(() => map.get(u64(1n)), /8 bytes, not 4/);
  assert.throws(() => map.delete(new Uint8Array(3)), /3 bytes, not 4/);
  assert.throws(() => map.set(u32(1), u32(1)), /4 bytes, not 8/);
});

test('BpfMap.close is idempotent and ends its use', () => {
  const map = BpfMap.create(HASH);
  map.close();
  map.close();
  assert.throws(() => map.get(u32(1)), /closed/);
});

test('BpfMap.create throws EINVAL for a shape that the kernel refuses', async () => {
  assert.throws(() => BpfMap.create({ ...HASH, maxEntries: 0 }), { code: 'EINVAL' });
});

const BATCHED = [
  { mapType: MapType.hash, flags: 0, keyBytes: 4 },
  { mapType: MapType.lruHash, flags: 0, keyBytes: 4 },
  { mapType: MapType.hash, flags: BPF_F_NO_PREALLOC, keyBytes: 20 },
  { mapType: MapType.lpmTrie, flags: BPF_F_NO_PREALLOC, keyBytes: 8 },
];
for (const row of BATCHED) {
  test(`BpfMap.updateBatch and entries: 25,001 entries of type ${row.mapType}, keys of ${row.keyBytes}`, async () => {
    const count = 25_001;
    using map = BpfMap.create({ ...row, name: 'batch', valueBytes: 8, maxEntries: 2 * count });
    const keys = Buffer.alloc(count * row.keyBytes);
    const values = Buffer.alloc(count * 8);
    for (let i = 0; i < count; i++) {
      // For the trie: 32 bits of prefix, then an address.
      keys.writeUInt32LE(row.keyBytes === 8 ? 32 : i, i * row.keyBytes);
      keys.writeUInt32BE(i, (i + 1) * row.keyBytes - 4);
      values.writeUInt32LE(i + 1, i * 8);
    }
    await map.updateBatch(keys, values, count);
    const seen = new Set<number>();
    for (const [key, value] of map.entries()) {
      assert.equal(value.readUInt32LE(), key.readUInt32BE(row.keyBytes - 4) + 1);
      seen.add(value.readUInt32LE());
    }
    assert.equal(seen.size, count);
  });
}

test('BpfMap.updateBatch refuses fewer bytes than entries', async () => {
  using map = BpfMap.create(HASH);
  await assert.rejects(map.updateBatch(Buffer.alloc(4), Buffer.alloc(16), 2), /Cannot update 2 entries/);
});

test('BpfMap.updateBatch throws E2BIG for more than the map takes', async () => {
  using map = BpfMap.create(HASH);
  const keys = Buffer.concat([u32(1), u32(2), u32(3)]);
  await assert.rejects(map.updateBatch(keys, Buffer.alloc(24), 3), { code: 'E2BIG' });
});

test('BpfMap.entries of an empty map yields nothing', () => {
  using map = BpfMap.create(HASH);
  assert.deepEqual([...map.entries()], []);
});

test('BpfMap.getPerCpu answers a value for each possible CPU', async () => {
  using object = await loadObject(fixture);
  using program = object.program('count');
  using map = object.map('runs');
  program.testRun({ data: FRAME, repeat: 3 });
  const counts = map.getPerCpu(u32(0)) ?? [];
  assert.equal(counts.length, possibleCpus());
  assert.equal(
    counts.reduce((sum, count) => sum + count.readUInt32LE(), 0),
    3,
  );
});

test('BpfMap.setInThread swaps inner maps, several at a time', async () => {
  using object = await loadObject(fixture);
  using program = object.program('answer_slot');
  using slots = object.map('slots');
  assert.equal(program.testRun({ data: FRAME }).retval, 1000);
  const shape = { ...HASH, name: 'inner', valueBytes: 4, maxEntries: 1, flags: BPF_F_NO_PREALLOC };
  using first = BpfMap.create(shape);
  using second = BpfMap.create(shape);
  first.set(u32(7), u32(11));
  second.set(u32(7), u32(22));
  await Promise.all([slots.setInThread(u32(0), u32(second.fd)), slots.setInThread(u32(1), u32(first.fd))]);
  assert.equal(program.testRun({ data: FRAME }).retval, 11);
  await slots.setInThread(u32(1), u32(second.fd));
  assert.equal(program.testRun({ data: FRAME }).retval, 22);
});

test('BpfMap.create makes an outer map after the shape of an inner one', () => {
  using inner = BpfMap.create(HASH);
  using outer = BpfMap.create({
    mapType: MapType.arrayOfMaps,
    name: 'outer',
    keyBytes: 4,
    valueBytes: 4,
    maxEntries: 1,
    innerMap: inner,
  });
  outer.set(u32(0), u32(inner.fd));
  // From user space an outer map answers the inner map's id.
  assert.deepEqual(outer.get(u32(0)), u32(inner.info.id));
});

test('BpfMap.openPinned answers the pinned map', () => {
  const path = join(bpffs, 'map');
  using map = BpfMap.create(HASH);
  map.pin(path);
  map.set(u32(1), u64(5n));
  using again = BpfMap.openPinned(path);
  assert.deepEqual(again?.get(u32(1)), u64(5n));
});

test('BpfMap.openPinned answers undefined when nothing is pinned', () => {
  assert.equal(BpfMap.openPinned(join(bpffs, 'nothing')), undefined);
});

test('BpfMap.openPinned refuses the pin of a program', async () => {
  const path = join(bpffs, 'program');
  using object = await loadObject(fixture);
  using program = object.program('pass');
  program.pin(path);
  assert.throws(() => BpfMap.openPinned(path), /as a map \(it is .*prog/);
  using again = BpfProgram.openPinned(path);
  assert.equal(again?.info().id, program.info().id);
});

test('BpfMap.pin throws EEXIST for a path that is taken', () => {
  const path = join(bpffs, 'taken');
  using map = BpfMap.create(HASH);
  map.pin(path);
  assert.throws(() => map.pin(path), { code: 'EEXIST' });
});

test('unpin removes a pin, and is content when there is none', () => {
  const path = join(bpffs, 'removed');
  using map = BpfMap.create(HASH);
  map.pin(path);
  unpin(path);
  unpin(path);
  assert.equal(BpfMap.openPinned(path), undefined);
});

test('BpfMap.byId opens the same map, and throws ENOENT for none', () => {
  using map = BpfMap.create(HASH);
  map.set(u32(1), u64(10n));
  using again = BpfMap.byId(map.info.id);
  assert.deepEqual(again.get(u32(1)), u64(10n));
  assert.throws(() => BpfMap.byId(0x7fffffff), { code: 'ENOENT' });
});

test('BpfMap.count and visit see every entry of a hash of many batches', async () => {
  using map = BpfMap.create({ ...HASH, maxEntries: 300_000 });
  const count = 250_000;
  const keys = Uint32Array.from({ length: count }, (_, index) => index);
  await map.updateBatch(new Uint8Array(keys.buffer), Buffer.alloc(count * 8, 1), count);
  assert.equal(map.count(60_000), count);
  const seen = new Uint8Array(count);
  const isWhole = map.visit((keyView, keyAt, values, valueAt) => {
    const key = keyView.getUint32(keyAt, true);
    seen[key] = values.getUint8(valueAt);
  }, 60_000);
  assert.equal(isWhole, true);
  assert.ok(seen.every((each) => each === 1));
});

test('BpfMap.count and visit give up in time', async () => {
  using map = BpfMap.create({ ...HASH, maxEntries: 300_000 });
  const count = 250_000;
  const keys = Uint32Array.from({ length: count }, (_, index) => index);
  await map.updateBatch(new Uint8Array(keys.buffer), Buffer.alloc(count * 8), count);
  let seen = 0;
  const look = () => {
    seen += 1;
  };
  assert.equal(map.count(0), undefined);
  assert.equal(map.visit(look, 0), false);
  assert.ok(seen > 0 && seen < count, `${seen}`);
});

test('BpfMap.memoryBytes grows with the map', () => {
  using small = BpfMap.create({ ...HASH, maxEntries: 16 });
  using large = BpfMap.create({ ...HASH, maxEntries: 65_536 });
  const [few = 0, many = 0] = [small.memoryBytes(), large.memoryBytes()];
  assert.ok(few > 0 && many > 65_536 * 8 && many > few, `${few} ${many}`);
});
