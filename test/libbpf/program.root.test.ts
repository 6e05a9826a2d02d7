import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadObject } from '../../src/libbpf/object.ts';
import { BpfProgram } from '../../src/libbpf/program.ts';
import { compileFixture, FRAME } from './fixture.ts';

const fixture = compileFixture();

test('BpfProgram.testRun answers a signed return value and the packet', async () => {
  using object = await loadObject(fixture);
  using program = object.program('pass');
  const packet = Buffer.from(Array.from({ length: 60 }, (_, i) => i));
  const result = program.testRun({ data: packet });
  assert.equal(result.retval, -1);
  assert.deepEqual(result.dataOut, packet);
});

test('BpfProgram.testRun passes the interfaces to the program', async () => {
  using object = await loadObject(fixture);
  using program = object.program('answer_ifindex');
  assert.equal(program.testRun({ data: FRAME, skb: { ifindex: 1, ingressIfindex: 7 } }).retval, 7001);
});

test('BpfProgram.testRun throws ENODEV for an interface that is not there', async () => {
  using object = await loadObject(fixture);
  using program = object.program('answer_ifindex');
  assert.throws(() => program.testRun({ data: FRAME, skb: { ifindex: 999_999 } }), { code: 'ENODEV' });
});

test('BpfProgram.testRun answers the mark that came out', async () => {
  using object = await loadObject(fixture);
  using program = object.program('pass');
  assert.equal(program.testRun({ data: FRAME, skb: { mark: 5 } }).skbOut?.readUInt32LE(8), 5);
});

test('BpfProgram.testRun writes nothing where nothing may come back', async () => {
  using object = await loadObject(fixture);
  using program = object.program('pass');
  const data = Buffer.alloc(1400, 0xff);
  // What it wrote would be behind its own memory: the process would die of it, sooner or later.
  for (let round = 0; round < 5_000; round += 1) {
    assert.equal(program.testRun({ data, dataOutBytes: 0 }).dataOut.length, 0);
  }
});

test('BpfProgram.testRun throws EINVAL for less than an Ethernet header', async () => {
  using object = await loadObject(fixture);
  using program = object.program('pass');
  assert.throws(() => program.testRun({ data: Buffer.alloc(13) }), { code: 'EINVAL' });
});

test('BpfProgram.info tells type, tag and name', async () => {
  using object = await loadObject(fixture);
  using program = object.program('drop');
  const info = program.info();
  assert.equal(info.programType, 3);
  assert.equal(info.name, 'drop');
  assert.match(info.tag, /^[0-9a-f]{16}$/);
});

test('BpfProgram.byId opens a program that is loaded', async () => {
  using object = await loadObject(fixture);
  using program = object.program('drop');
  using again = BpfProgram.byId(program.info().id);
  assert.deepEqual(again.info(), program.info());
});

test('BpfProgram.byId throws ENOENT for an id that is not there', () => {
  assert.throws(() => BpfProgram.byId(0x7fffffff), { code: 'ENOENT' });
});

test('BpfProgram.info tells how large it is', async () => {
  using object = await loadObject(fixture);
  using program = object.program('pass');
  const { xlatedBytes, jitedBytes } = program.info();
  assert.ok(xlatedBytes > 0 && xlatedBytes % 8 === 0, `${xlatedBytes}`);
  assert.ok(jitedBytes > 0, `${jitedBytes}`);
  assert.ok((program.memoryBytes() ?? 0) >= xlatedBytes);
});

test('BpfProgram.find answers undefined for an id that no program has', async () => {
  using object = await loadObject(fixture);
  const { id } = object.program('pass').info();
  using found = BpfProgram.find(id);
  assert.equal(found?.info().name, 'pass');
  assert.equal(BpfProgram.find(0x7fffffff), undefined);
});
