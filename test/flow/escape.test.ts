import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeJsonLine, escapeControl } from '../../src/flow/escape.ts';

const rows = [
  ['nothing', 'www.example.com [1] "x" \\ ü 名', 'www.example.com [1] "x" \\ ü 名'],
  ['an escape sequence', '\x1b[31mred', '\\x1b[31mred'],
  ['line breaks and tabs', 'a\r\n\tb', 'a\\x0d\\x0a\\x09b'],
  ['NUL and delete', '\0\x7f', '\\x00\\x7f'],
  ['C1 controls', '\x9b2J', '\\x9b2J'],
  ['line and paragraph separators', '\u2028\u2029', '\\u{2028}\\u{2029}'],
  ['bidi overrides', 'moc\u202e.x\u2066', 'moc\\u{202e}.x\\u{2066}'],
  ['zero width characters', 'a\u200b\ufeffb', 'a\\u{200b}\\u{feff}b'],
  ['tag characters', '\u{e0041}', '\\u{e0041}'],
  ['a lone surrogate', 'a\ud800b', 'a\\u{d800}b'],
] as const;

for (const [title, text, escaped] of rows) {
  test(`escapeControl escapes ${title}`, () => {
    assert.equal(escapeControl(text), escaped);
  });

  test(`encodeJsonLine keeps ${title} and stays printable`, () => {
    const line = encodeJsonLine({ text });
    assert.deepEqual(JSON.parse(line), { text });
    assert.equal(escapeControl(line), line);
  });
}
