import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeAttributes } from '../../src/netlink/attributes.ts';
import { encodeSplittingQueue, planQueue } from '../../src/netlink/splitting-queue.ts';

describe('planQueue', () => {
  const JUMBO = 9_216 + 64;
  const NEVER = 1 << 20;
  const rows: readonly (readonly [
    title: string,
    bytesPerSecond: number,
    mtu: number,
    mostWholeBytes: number,
    queueBytes: number,
  ])[] = [
    ['a slow class has a queue for what TCP sends at once', 62_500, 1500, JUMBO, 196_608],
    ['10mbit', 1_250_000, 1500, JUMBO, 250_000],
    ['100mbit has 200 ms', 12_500_000, 1500, JUMBO, 2_500_000],
    ['500mbit is split', 62_500_000, 1500, JUMBO, 8_388_608],
    ['1gbit is not split', 125_000_000, 1500, NEVER, 8_388_608],
    ['jumbo frames have room on any interface', 62_500, 576, JUMBO, 196_608],
    ['a packet of a larger MTU has room', 62_500, 65_536, 65_600, 196_608],
  ];
  for (const [title, bytesPerSecond, mtu, mostWholeBytes, queueBytes] of rows) {
    test(title, () => assert.deepEqual(planQueue(bytesPerSecond, mtu), { mostWholeBytes, queueBytes }));
  }
});

test('encodeSplittingQueue writes struct tc_tbf_qopt, a rate that holds nothing back and the longest packet', () => {
  const bytes = encodeSplittingQueue({ mostWholeBytes: 9_280, queueBytes: 196_608 });
  const options = decodeAttributes(decodeAttributes(bytes).get(2) ?? Buffer.alloc(0));
  assert.deepEqual([...options.keys()], [1, 4, 6]);
  const parameters = options.get(1) ?? Buffer.alloc(0);
  assert.equal(parameters.length, 36);
  assert.equal(parameters.subarray(0, 12).toString('hex'), '0001000000000000ffffffff');
  assert.equal(parameters.subarray(12, 24).toString('hex'), '00'.repeat(12));
  assert.equal(parameters.readUInt32LE(24), 196_608);
  assert.equal(options.get(4)?.readBigUInt64LE(), 1n << 55n);
  assert.equal(options.get(6)?.readUInt32LE(), 9_280);
});
