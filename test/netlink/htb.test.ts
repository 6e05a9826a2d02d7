import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeAttributes } from '../../src/netlink/attributes.ts';
import { burstTicks, decodeHtbRates, encodeHtb, encodeHtbClass } from '../../src/netlink/htb.ts';

const MTU = 1500;
const TCA_OPTIONS = 2;
const PARMS = 1;

/** The attributes inside TCA_OPTIONS. */
function optionsOf(bytes: Buffer): ReadonlyMap<number, Buffer> {
  return decodeAttributes(innerOf(bytes));
}

function innerOf(bytes: Buffer): Buffer {
  const inner = decodeAttributes(bytes).get(TCA_OPTIONS);
  assert.ok(inner !== undefined);
  return inner;
}

function parametersOf(rateBytes: number, ceilBytes = rateBytes, mtu = MTU): Buffer {
  const parameters = optionsOf(encodeHtbClass({ rateBytes, ceilBytes }, mtu)).get(PARMS);
  assert.ok(parameters !== undefined);
  return parameters;
}

test('encodeHtb writes struct tc_htb_glob and the length of the direct queue', () => {
  const options = optionsOf(encodeHtb(0x1234, 1000));
  assert.equal(options.get(2)?.toString('hex'), '030000000a000000341200000000000000000000');
  assert.equal(options.get(5)?.toString('hex'), 'e8030000');
});

test('encodeHtbClass writes struct tc_htb_opt without rate tables', () => {
  const options = optionsOf(encodeHtbClass({ rateBytes: 62_500, ceilBytes: 1_250_000 }, MTU));
  assert.deepEqual([...options.keys()], [PARMS, 6, 7]);
  const parameters = options.get(PARMS) ?? Buffer.alloc(0);
  assert.equal(parameters.subarray(0, 12).toString('hex'), '000100000000000024f40000');
  assert.equal(parameters.subarray(12, 24).toString('hex'), '0001000000000000d0121300');
  assert.equal(parameters.length, 44);
  assert.equal(options.get(6)?.readBigUInt64LE(), 62_500n);
  assert.equal(options.get(7)?.readBigUInt64LE(), 1_250_000n);
});

test('encodeHtbClass writes a rate past 32 bits apart', () => {
  const options = optionsOf(encodeHtbClass({ rateBytes: 6_250_000_000, ceilBytes: 12_500_000_000 }, MTU));
  assert.equal(options.get(PARMS)?.readUInt32LE(8), 0xffffffff);
  assert.equal(options.get(PARMS)?.readUInt32LE(20), 0xffffffff);
  assert.equal(options.get(6)?.readBigUInt64LE(), 6_250_000_000n);
  assert.equal(options.get(7)?.readBigUInt64LE(), 12_500_000_000n);
});

for (const rateBytes of [1, 1_000, 62_500, 1_250_000, 12_500_000, 125_000_000, 125_000_000_000]) {
  test(`encodeHtbClass gives ${rateBytes} bytes a second a quantum that the kernel does not warn of`, () => {
    const quantum = parametersOf(rateBytes).readUInt32LE(32);
    assert.ok(quantum >= MTU && quantum <= 200_000, `${quantum}`);
  });
}

describe('burstTicks', () => {
  const bytesOf = (rateBytes: number, mtu: number) => (burstTicks(rateBytes, mtu) * 64 * rateBytes) / 1e9;

  test('is 20 ms of a high rate', () => {
    assert.equal(burstTicks(12_500_000, MTU), 312_500);
    assert.equal(burstTicks(125_000_000_000, MTU), 312_500);
  });
  for (const mtu of [1280, 1500, 9000, 65_536]) {
    test(`holds two frames of ${mtu} bytes at a low rate`, () => {
      assert.ok(bytesOf(62_500, mtu) >= 2 * (mtu + 14));
    });
  }
  test('stays in 32 bits', () => {
    assert.equal(burstTicks(1, 65_536), 0xffffffff);
  });
  test('is of rate and ceil each in a class', () => {
    const parameters = parametersOf(1_250_000, 12_500_000);
    assert.equal(parameters.readUInt32LE(24), burstTicks(1_250_000, MTU));
    assert.equal(parameters.readUInt32LE(28), burstTicks(12_500_000, MTU));
  });
});

describe('decodeHtbRates', () => {
  for (const rates of [
    { rateBytes: 62_500, ceilBytes: 125_000 },
    { rateBytes: 125_000, ceilBytes: 12_500_000_000 },
    { rateBytes: 6_250_000_000, ceilBytes: 6_250_000_000 },
  ]) {
    test(`reads ${rates.rateBytes} and ${rates.ceilBytes} back`, () => {
      assert.deepEqual(decodeHtbRates(innerOf(encodeHtbClass(rates, MTU))), rates);
    });
  }
  test('reads what the kernel writes of a rate in 32 bits, without the other attributes', () => {
    const inner = innerOf(encodeHtbClass({ rateBytes: 62_500, ceilBytes: 125_000 }, MTU)).subarray(0, 48);
    assert.deepEqual(decodeHtbRates(inner), { rateBytes: 62_500, ceilBytes: 125_000 });
  });
  test('is undefined for options of another kind', () => {
    assert.equal(decodeHtbRates(Buffer.alloc(0)), undefined);
    assert.equal(decodeHtbRates(innerOf(encodeHtb(1, 2))), undefined);
  });
});
