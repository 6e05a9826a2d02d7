import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BpfMap } from '../../src/libbpf/map.ts';
import { MapType } from '../../src/libbpf/map-info.ts';
import { loadObject } from '../../src/libbpf/object.ts';
import { openObject } from '../../src/libbpf/open-object.ts';
import { compileFixture, FRAME, temporaryDirectory, u32, u64 } from './fixture.ts';

const fixture = compileFixture();

test('OpenObject.programs names the programs of the file', () => {
  using object = openObject(fixture);
  assert.ok(object.programs().includes('answer_constants'));
});

test('OpenObject.maps names the maps of the file', () => {
  using object = openObject(fixture);
  assert.ok(object.maps().includes('numbers'));
  assert.ok(object.maps().includes('slots'));
});

test('loadObject without settings keeps the constants of the file', async () => {
  using object = await loadObject(fixture);
  using program = object.program('answer_constants');
  assert.equal(program.testRun({ data: FRAME }).retval, 102);
});

test('OpenObject.setConstant changes one constant and leaves its neighbours', async () => {
  using object = await loadObject(fixture, (opened) => opened.setConstant('second_constant', u64(7n)));
  using program = object.program('answer_constants');
  assert.equal(program.testRun({ data: FRAME }).retval, 107);
});

test('OpenObject.setConstant refuses a value of another size', () => {
  using object = openObject(fixture);
  assert.throws(() => object.setConstant('second_constant', u32(7)), /4 bytes, not 8/);
});

test('OpenObject.setConstant refuses a name that the file does not have', () => {
  using object = openObject(fixture);
  assert.throws(() => object.setConstant('third_constant', u32(7)), /"third_constant"/);
});

test('OpenObject.setMaxEntries sets the size of a map', async () => {
  using object = await loadObject(fixture, (opened) => opened.setMaxEntries('numbers', 77));
  using map = object.map('numbers');
  assert.equal(map.info.maxEntries, 77);
});

test('OpenObject.reuseMap gives the programs the map of another object', async () => {
  using first = await loadObject(fixture);
  using kept = first.map('runs');
  using second = await loadObject(fixture, (opened) => opened.reuseMap('runs', kept));
  using program = second.program('count');
  program.testRun({ data: FRAME, repeat: 5 });
  const counts = kept.getPerCpu(u32(0)) ?? [];
  assert.equal(
    counts.reduce((sum, count) => sum + count.readUInt32LE(), 0),
    5,
  );
});

test('OpenObject.reuseMap refuses a map of another shape', async () => {
  using other = BpfMap.create({
    mapType: MapType.hash,
    name: 'other',
    keyBytes: 8,
    valueBytes: 8,
    maxEntries: 1,
  });
  await assert.rejects(() => loadObject(fixture, (opened) => opened.reuseMap('numbers', other)), {
    code: 'EINVAL',
  });
});

test('OpenObject.setAutoload keeps a program out of the kernel', async () => {
  using object = await loadObject(fixture, (opened) => opened.setAutoload('drop', false));
  assert.throws(() => object.program('drop'), /"drop": it was not loaded/);
});

test('LoadedObject.program outlives the object', async () => {
  const object = await loadObject(fixture);
  using program = object.program('pass');
  object.close();
  assert.equal(program.testRun({ data: FRAME }).retval, -1);
});

test('LoadedObject.program refuses a name that the file does not have', async () => {
  using object = await loadObject(fixture);
  assert.throws(() => object.program('nothing'), /"nothing"/);
});

test('LoadedObject.close is idempotent', async () => {
  const object = await loadObject(fixture);
  object.close();
  object.close();
  assert.throws(() => object.program('pass'), /closed/);
});

test('loadObject shows the last lines of the log when the verifier refuses', async () => {
  await assert.rejects(
    () => loadObject(fixture, (opened) => opened.setAutoload('refused_by_verifier', true)),
    {
      name: 'SystemError',
      code: 'EACCES',
      message: /^Cannot load BPF object "[^"]+": EACCES\n.*invalid mem access 'map_value_or_null'/s,
    },
  );
});

test('loadObject says ENOENT for a file that is not there', async () => {
  await assert.rejects(() => loadObject('/nonexistent.o'), { code: 'ENOENT', message: /"\/nonexistent.o"/ });
});

test('loadObject says LIBBPF_FORMAT for a file that is no object', async () => {
  const path = join(temporaryDirectory(), 'text.o');
  writeFileSync(path, 'this is no ELF file, and long enough to look at its header'.repeat(4));
  await assert.rejects(() => loadObject(path), { code: 'LIBBPF_FORMAT' });
});

test('loadObject closes the object when the preparation throws', async () => {
  let seen: { programs(): string[] } | undefined;
  await assert.rejects(
    () =>
      loadObject(fixture, (opened) => {
        seen = opened;
        throw new Error('no');
      }),
    /^Error: no$/,
  );
  assert.throws(() => seen?.programs(), /closed/);
});
