import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LineCutter } from '../../src/control/frames.ts';

const TEXT = '{"a":"ü"}\n\nlonger than the others\n\r\nx\n';
const LINES = ['{"a":"ü"}', '', 'longer than the others', '\r', 'x'];

describe('LineCutter', () => {
  test('cuts the same lines wherever the text was split', () => {
    for (let at = 0; at <= TEXT.length; at += 1) {
      for (let next = at; next <= TEXT.length; next += 1) {
        const cutter = new LineCutter();
        const pieces = [TEXT.slice(0, at), TEXT.slice(at, next), TEXT.slice(next)];
        assert.deepEqual(
          pieces.flatMap((piece) => cutter.push(piece)),
          LINES,
          `split at ${at} and ${next}`,
        );
      }
    }
  });

  test('keeps what is no line yet', () => {
    const cutter = new LineCutter();
    assert.deepEqual(cutter.push(''), []);
    assert.deepEqual(cutter.push('a'), []);
    assert.deepEqual(cutter.push('b'), []);
    assert.deepEqual(cutter.push('\nc'), ['ab']);
    assert.deepEqual(cutter.push('\n'), ['c']);
  });

  test('takes a line of the greatest length, in one piece or many', () => {
    assert.deepEqual(new LineCutter(8).push('12345678\n12345678\n'), ['12345678', '12345678']);
    const cutter = new LineCutter(8);
    assert.deepEqual(
      [...'12345678\n'].flatMap((sign) => cutter.push(sign)),
      ['12345678'],
    );
  });

  const giants: readonly (readonly [title: string, pieces: readonly string[]])[] = [
    ['at once', ['123456789']],
    ['with its end', ['123456789\n']],
    ['behind another', ['a\n123456789']],
    ['before another', ['123456789\na\n']],
    ['between others', ['a\n123456789\nb']],
    ['piece by piece', ['1234', '5678', '9']],
    ['of which the end comes last', ['1234', '56789\n']],
  ];
  for (const [title, pieces] of giants) {
    test(`refuses a longer line: ${title}`, () => {
      const cutter = new LineCutter(8);
      assert.throws(
        () => pieces.map((piece) => cutter.push(piece)),
        (thrown) =>
          thrown instanceof RangeError && thrown.message === 'Cannot take a line of more than 8 characters',
      );
    });
  }
});
