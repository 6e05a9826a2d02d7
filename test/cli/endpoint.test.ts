import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseEndpoint } from '../../src/cli/endpoint.ts';
import { UsageError } from '../../src/errors.ts';

describe('parseEndpoint', () => {
  const legal: readonly (readonly [text: string, host: string, port: number, isLoopback: boolean])[] = [
    ['9090', '127.0.0.1', 9090, true],
    [':9090', '127.0.0.1', 9090, true],
    ['0', '127.0.0.1', 0, true],
    [':0', '127.0.0.1', 0, true],
    ['localhost:9090', '127.0.0.1', 9090, true],
    ['127.0.0.1:9090', '127.0.0.1', 9090, true],
    ['127.3.2.1:1', '127.3.2.1', 1, true],
    ['[::1]:65535', '::1', 65_535, true],
    ['[0:0::0001]:9090', '::1', 9090, true],
    ['[::ffff:127.0.0.1]:9090', '127.0.0.1', 9090, true],
    ['0.0.0.0:9090', '0.0.0.0', 9090, false],
    ['[::]:9090', '::', 9090, false],
    ['192.0.2.2:9090', '192.0.2.2', 9090, false],
    ['[2001:db8::2]:9090', '2001:db8::2', 9090, false],
    ['[fe80::1%eth0]:9090', 'fe80::1%eth0', 9090, false],
  ];
  for (const [text, host, port, isLoopback] of legal)
    test(`${text} is ${host} port ${port}${isLoopback ? ', loopback' : ''}`, () =>
      assert.deepEqual(parseEndpoint('metrics', text), { host, port, isLoopback }));

  const malformed = [
    '',
    ':',
    'localhost',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '127.0.0.1:+1',
    '127.0.0.1:090',
    '127.0.0.1:9090 ',
    '127.0.0.1:9090/metrics',
    'http://127.0.0.1:9090',
    '127.1:9090',
    '0x7f.0.0.1:9090',
    '256.0.0.1:9090',
    '*:9090',
    'example.com:9090',
    '::1:9090',
    '::1',
    '[::1]',
    '[::1]9090',
    '[127.0.0.1]:9090',
    '[]:9090',
    '[localhost]:9090',
    '[::1:9090',
    '1e3',
  ];
  for (const text of malformed)
    test(`"${text}" is refused, quoted`, () =>
      assert.throws(
        () => parseEndpoint('metrics', text),
        (thrown: unknown) => {
          assert.ok(thrown instanceof UsageError);
          assert.ok(thrown.message.startsWith(`-metrics "${text}" is nowhere to listen: `), thrown.message);
          assert.match(thrown.message, /0 to 65535, is legal$/u);
          return true;
        },
      ));
});
