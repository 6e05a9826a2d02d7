import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import { formatRate, makeShaping, parseRate } from '../../src/policy/shaping.ts';

describe('parseRate takes', () => {
  const rows: readonly (readonly [text: string, bitsPerSecond: number])[] = [
    ['1bit', 1],
    ['8000bit', 8_000],
    ['500kbit', 500_000],
    ['1mbit', 1_000_000],
    ['1.5mbit', 1_500_000],
    ['0.5gbit', 500_000_000],
    ['0.001kbit', 1],
    ['1.000000001gbit', 1_000_000_001],
    ['10Mbit', 10_000_000],
    ['10MBIT', 10_000_000],
    ['1000gbit', 1e12],
    ['1000000000000bit', 1e12],
  ];
  for (const [text, bitsPerSecond] of rows) {
    test(text, () => assert.equal(parseRate(text, '-rate'), bitsPerSecond));
  }
});

describe('parseRate refuses', () => {
  const form = 'a number and bit, kbit, mbit or gbit is legal, such as 500kbit';
  const range = '1bit to 1000gbit is legal';
  const rows: readonly (readonly [text: string, legal: string])[] = [
    ['', form],
    ['500', form],
    ['kbit', form],
    ['500 kbit', form],
    [' 500kbit', form],
    ['500kbit ', form],
    ['-1mbit', form],
    ['+1mbit', form],
    ['1.mbit', form],
    ['.5mbit', form],
    ['1,5mbit', form],
    ['1e3kbit', form],
    ['0x10kbit', form],
    ['1.2.3mbit', form],
    ['500kb', form],
    ['500kbps', form],
    ['500kibit', form],
    ['500tbit', form],
    ['500\u212abit', form],
    ['NaNbit', form],
    ['infinitybit', form],
    ['1mbit/s', form],
    ['1000000000000000bit', form],
    ['999999999999999bit', range],
    ['0bit', range],
    ['0mbit', range],
    ['0.0kbit', range],
    ['0.4bit', range],
    ['1001gbit', range],
    ['999999999999gbit', range],
  ];
  for (const [text, legal] of rows) {
    test(JSON.stringify(text), () => {
      assert.throws(
        () => parseRate(text, '-ceil'),
        (error) =>
          error instanceof UsageError &&
          error.message.startsWith(`-ceil "${text}"`) &&
          error.message.includes(legal),
      );
    });
  }
});

describe('formatRate writes what parseRate reads', () => {
  for (const text of ['1bit', '999bit', '1kbit', '500kbit', '1.5mbit', '10mbit', '1gbit', '1000gbit']) {
    test(text, () => assert.equal(formatRate(parseRate(text, '-rate')), text));
  }
});

describe('makeShaping', () => {
  test('leaves out a ceil that is the rate', () => {
    assert.deepEqual(makeShaping(1e6, undefined), { rateBitsPerSecond: 1e6 });
    assert.deepEqual(makeShaping(1e6, 1e6), { rateBitsPerSecond: 1e6 });
  });
  test('keeps a ceil above the rate', () => {
    assert.deepEqual(makeShaping(1e6, 1e6 + 1), { rateBitsPerSecond: 1e6, ceilBitsPerSecond: 1e6 + 1 });
  });
  test('refuses a ceil below the rate', () => {
    assert.throws(
      () => makeShaping(1e6, 500e3),
      (error) =>
        error instanceof UsageError &&
        error.message === 'ceil "500kbit" is less than rate "1mbit": as much or more is legal',
    );
  });
});
