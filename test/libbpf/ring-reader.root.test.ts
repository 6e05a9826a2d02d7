import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { loadObject } from '../../src/libbpf/object.ts';
import { openRing } from '../../src/libbpf/ring-reader.ts';
import { compileFixture, FRAME } from './fixture.ts';

const fixture = compileFixture();
const SMALL = { mark: 1 };
const DISCARDED = { mark: 2 };
/* A small record is 8 bytes and a header of 8; the kernel never fills the ring to the last byte. */
const SMALL_RECORDS = (1 << 16) / 16;

const numberOf = (bytes: Uint8Array) => Number(Buffer.from(bytes).readBigUInt64LE());

test('openRing calls back for a record without being asked', async () => {
  using object = await loadObject(fixture);
  using events = object.map('events');
  using emit = object.program('emit');
  const record = await new Promise<Uint8Array>((resolve) => {
    const reader = openRing(events, (bytes) => {
      reader.close();
      resolve(bytes);
    });
    emit.testRun({ data: FRAME, skb: {} });
  });
  assert.equal(record.length, 64);
  assert.equal(numberOf(record), 0);
});

test('openRing delivers 100,000 records in order while the reader keeps up', async () => {
  const total = 100_000;
  using object = await loadObject(fixture);
  using events = object.map('events');
  using emit = object.program('emit');
  let next = 0;
  using _reader = openRing(events, (bytes) => {
    assert.equal(numberOf(bytes), next);
    next++;
  });
  for (let sent = 0; sent < total; sent += 2000) {
    assert.equal(emit.testRun({ data: FRAME, skb: SMALL, repeat: 2000 }).retval, 0);
    while (next < sent + 2000) await nextTurn();
  }
  assert.equal(next, total);
});

test('openRing delivers what a full ring holds, and goes on after that', async () => {
  using object = await loadObject(fixture);
  using events = object.map('events');
  using emit = object.program('emit');
  const seen: number[] = [];
  using reader = openRing(events, (bytes) => seen.push(numberOf(bytes)));
  assert.equal(emit.testRun({ data: FRAME, skb: SMALL, repeat: SMALL_RECORDS + 100 }).retval, 1);
  const held = reader.drain();
  assert.ok(held >= SMALL_RECORDS - 1 && held <= SMALL_RECORDS, `${held} records`);
  assert.deepEqual(
    seen,
    Array.from({ length: held }, (_, i) => i),
  );
  seen.length = 0;
  assert.equal(emit.testRun({ data: FRAME, skb: SMALL }).retval, 0);
  while (seen.length === 0) await nextTurn();
  assert.deepEqual(seen, [SMALL_RECORDS + 100]);
});

test('RingReader.drain skips discarded records', async () => {
  using object = await loadObject(fixture);
  using events = object.map('events');
  using emit = object.program('emit');
  const seen: number[] = [];
  using reader = openRing(events, (bytes) => seen.push(numberOf(bytes)));
  emit.testRun({ data: FRAME, skb: DISCARDED });
  emit.testRun({ data: FRAME, skb: SMALL });
  reader.drain();
  assert.deepEqual(seen, [1]);
});

test('RingReader.drain hands over long records whole, past the end of the ring', async () => {
  using object = await loadObject(fixture);
  using events = object.map('events');
  using emit = object.program('emit');
  let next = 0;
  using reader = openRing(events, (bytes) => {
    const filler = next & 0xff;
    assert.equal(numberOf(bytes), next);
    assert.deepEqual([...bytes.subarray(8)], new Array(56).fill(filler));
    next++;
  });
  // 72 bytes each: 910 fill the ring, so that some record runs over its end.
  for (let round = 0; round < 4; round++) {
    emit.testRun({ data: FRAME, skb: {}, repeat: 500 });
    reader.drain();
  }
  assert.equal(next, 2000);
});

test('RingReader.close within a handler ends the delivery', async () => {
  using object = await loadObject(fixture);
  using events = object.map('events');
  using emit = object.program('emit');
  let calls = 0;
  const reader = openRing(events, () => {
    calls++;
    reader.close();
  });
  emit.testRun({ data: FRAME, skb: SMALL, repeat: 3 });
  reader.drain();
  reader.drain();
  reader.close();
  assert.equal(calls, 1);
});

test('a closed RingReader leaves the map to its owner', async () => {
  using object = await loadObject(fixture);
  using events = object.map('events');
  using emit = object.program('emit');
  openRing(events, () => {}).close();
  emit.testRun({ data: FRAME, skb: SMALL });
  const seen: number[] = [];
  using reader = openRing(events, (bytes) => seen.push(numberOf(bytes)));
  reader.drain();
  assert.deepEqual(seen, [0]);
});

test('openRing refuses a map that is no ring buffer', async () => {
  using object = await loadObject(fixture);
  using numbers = object.map('numbers');
  assert.throws(() => openRing(numbers, () => {}), /"numbers" as a ring buffer/);
});
