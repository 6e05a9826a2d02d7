import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePageAddress } from '../../src/cli/page-flag.ts';
import { UsageError } from '../../src/errors.ts';

describe('parsePageAddress takes', () => {
  for (const [text, address, port] of [
    ['127.0.0.1:8080', '127.0.0.1', 8080],
    ['127.9.9.9:1', '127.9.9.9', 1],
    ['127.0.0.1:0', '127.0.0.1', 0],
    ['8080', '127.0.0.1', 8080],
    ['localhost:80', '127.0.0.1', 80],
    ['[::1]:65535', '::1', 65_535],
  ] as const)
    test(text, () => assert.deepEqual(parsePageAddress(text), { host: address, port, isLoopback: true }));
});

describe('parsePageAddress refuses', () => {
  for (const text of [
    '0.0.0.0:8080',
    '[::]:8080',
    '192.0.2.1:8080',
    '[2001:db8::1]:8080',
    '[::ffff:192.0.2.1]:80',
  ]) {
    test(`${text}, and says how to forward it`, () => {
      assert.throws(
        () => parsePageAddress(text),
        (thrown) => {
          assert.ok(thrown instanceof UsageError);
          assert.ok(thrown.message.includes(`"${text}"`), thrown.message);
          assert.match(thrown.message, /ssh -L/);
          return true;
        },
      );
    });
  }
  for (const text of [
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.1:80',
    '::1:80',
    '[127.0.0.1]:80',
    '127.0.0.1:8o',
    '[::1%lo]:80',
    '',
  ]) {
    test(`"${text}"`, () => assert.throws(() => parsePageAddress(text), UsageError));
  }
});
