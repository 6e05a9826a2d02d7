import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rcodeWord } from '../../src/dns/rcode.ts';

const words: readonly (readonly [rcode: number, word: string])[] = [
  [0, 'noerror'],
  [1, 'formerr'],
  [2, 'servfail'],
  [3, 'nxdomain'],
  [4, 'notimp'],
  [5, 'refused'],
  [9, 'notauth'],
  [11, 'dsotypeni'],
  [12, 'rcode-12'],
  [15, 'rcode-15'],
];
for (const [rcode, word] of words) {
  test(`rcode ${rcode} is ${word}`, () => assert.equal(rcodeWord(rcode), word));
}
