import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { anyOf, anyQuoted, suggest } from '../src/wording.ts';

describe('anyOf lists', () => {
  const rows: readonly (readonly [words: readonly string[], plain: string, quoted: string])[] = [
    [[], 'nothing', 'nothing'],
    [['a'], 'a', '"a"'],
    [['a', 'b'], 'a or b', '"a" or "b"'],
    [['a', 'b', 'c'], 'a, b or c', '"a", "b" or "c"'],
  ];
  for (const [words, plain, quoted] of rows)
    test(plain, () => assert.deepEqual([anyOf(words), anyQuoted(words)], [plain, quoted]));
});

describe('suggest', () => {
  const rows: readonly (readonly [word: string, hint: string])[] = [
    ['nmp', ', did you mean "npm"?'],
    ['NPM', ', did you mean "npm"?'],
    ['deb', ', did you mean "debian"?'],
    ['debain', ', did you mean "debian"?'],
    ['x', ''],
    ['kubernetes', ''],
    ['', ''],
  ];
  for (const [word, hint] of rows)
    test(`"${word}": ${hint}`, () => assert.equal(suggest(word, ['debian', 'npm', 'pypi']), hint));

  test('puts a dash in front where one is due', () =>
    assert.equal(suggest('ifcae', ['iface'], '-'), ', did you mean "-iface"?'));
});
