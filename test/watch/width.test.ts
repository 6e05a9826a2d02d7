import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cutText, fitText, safeText, widthOf } from '../../src/watch/width.ts';

describe('widthOf', () => {
  for (const [text, width] of [
    ['', 0],
    ['www.example.com', 15],
    ['例え.example', 12],
    ['한글', 4],
    ['ｱｲｳ', 3],
    ['Ａ', 2],
    ['🦊', 2],
    ['e\u0301', 1],
    ['bücher', 6],
    ['█…·', 3],
  ] as const) {
    test(`"${text}" takes ${width} columns`, () => assert.equal(widthOf(text), width));
  }
});

describe('fitText', () => {
  for (const [text, columns, side, fitted] of [
    ['abc', 5, 'left', 'abc  '],
    ['abc', 5, 'right', '  abc'],
    ['abcdef', 4, 'left', 'abc…'],
    ['例え例え', 4, 'left', '例… '],
    ['例え例え', 5, 'left', '例え…'],
    ['abc', 0, 'left', ''],
    ['abc', 1, 'left', '…'],
  ] as const) {
    test(`"${text}" in ${columns} columns, ${side}`, () => {
      assert.equal(fitText(text, columns, side), fitted);
      assert.equal(widthOf(fitText(text, columns, side)), columns);
    });
  }
});

test('cutText leaves what fits as it is', () => {
  assert.equal(cutText('abc', 3), 'abc');
  assert.equal(cutText('abc', 9), 'abc');
});

describe('safeText', () => {
  for (const [what, text, safe] of [
    ['an escape', 'a\x1b[2Jb', 'a\\x1b[2Jb'],
    ['a line break', 'a\nb\r', 'a\\x0ab\\x0d'],
    ['a bidi override', 'a\u202eb', 'a\\u{202e}b'],
    ['a C1 control', 'a\u009bb', 'a\\x9bb'],
    ['a pile of marks', 'a\u0301\u0302\u0303b', 'a\u0301\\u{302}\\u{303}b'],
    ['what is not seen', 'a\u3164b\ufe0fc', 'a\\u{3164}b\\u{fe0f}c'],
    ['what is not assigned', 'a\u{e0080}b', 'a\\u{e0080}b'],
    ['a lone surrogate', 'a\ud800b', 'a\\u{d800}b'],
    ['what is harmless', 'bücher 例え 🦊', 'bücher 例え 🦊'],
  ] as const) {
    test(`shows ${what}`, () => {
      assert.equal(safeText(text), safe);
      assert.equal(safeText(safe), safe);
    });
  }
});
