import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENUMS } from '../../src/datapath/layout.ts';
import { REASONS, UNPARSED, VERDICTS } from '../../src/flow/reason.ts';

/** REASON_NO_RULE = 3 gives [3, 'no-rule']. */
function wordsOf(
  numbers: Readonly<Record<string, number>>,
  prefix: string,
  hyphen: string,
): [number, string][] {
  return Object.entries(numbers).map(([key, number]) => [
    number,
    key.slice(prefix.length).toLowerCase().replaceAll('_', hyphen),
  ]);
}

function indexed(words: readonly (string | undefined)[]): [number, string][] {
  return words.flatMap((word, number): [number, string][] => (word === undefined ? [] : [[number, word]]));
}

test('REASONS is enum reason of the contract', () => {
  assert.deepEqual(indexed(REASONS), wordsOf(ENUMS.reason, 'REASON_', '-'));
});

test('VERDICTS is enum verdict of the contract', () => {
  assert.deepEqual(indexed(VERDICTS), wordsOf(ENUMS.verdict, 'VERDICT_', '_'));
});

test('UNPARSED is enum unparsed of the contract', () => {
  assert.deepEqual(indexed(UNPARSED), wordsOf(ENUMS.unparsed, 'UNPARSED_', '-'));
});
