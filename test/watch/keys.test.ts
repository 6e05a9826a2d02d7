import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseKeys } from '../../src/watch/keys.ts';

describe('parseKeys', () => {
  for (const [input, keys] of [
    ['q', ['q']],
    ['ab', ['a', 'b']],
    ['\x03', ['interrupt']],
    ['\x1a', ['suspend']],
    ['\x0c', ['redraw']],
    ['\x1b[A\x1b[B', ['up', 'down']],
    ['\x1bOA', ['up']],
    ['\x1b[5~\x1b[6~', ['page-up', 'page-down']],
    ['\x1b[H\x1b[F\x1b[1~\x1b[4~', ['home', 'end', 'home', 'end']],
    ['\x1b', ['escape']],
    ['/x\r', ['/', 'x', 'enter']],
    ['\x7f\b', ['erase', 'erase']],
    ['\x1b[1;5C', []],
    ['\x1b[<0;10;10M', []],
    ['\x1b[200~', []],
    ['\x00\x01', []],
    ['例🦊', ['例', '🦊']],
    ['\x1b\x1b[A', ['escape', 'up']],
  ] as const) {
    test(JSON.stringify(input), () => {
      assert.deepEqual(
        parseKeys(input).map((key) => (key.kind === 'text' ? key.text : key.kind)),
        keys,
      );
    });
  }
});
