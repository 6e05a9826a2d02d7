import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errnoName } from '../../src/libbpf/errno.ts';
import { addressOf, bpf, libc } from '../../src/libbpf/symbols.ts';

for (const [name, symbol] of Object.entries({ ...bpf, ...libc })) {
  test(`${name} binds to the installed library`, () => {
    symbol.bind();
  });
}

test('addressOf answers the same place for the life of a buffer, and follows its offset', () => {
  const bytes = Buffer.alloc(16);
  assert.equal(addressOf(bytes), addressOf(bytes));
  assert.equal(addressOf(bytes.subarray(4)), addressOf(bytes) + 4n);
});

for (const [errno, name] of [
  [1, 'EPERM'],
  [11, 'EAGAIN'],
  [95, 'EOPNOTSUPP'],
  [524, 'ENOTSUPP'],
  [4001, 'LIBBPF_FORMAT'],
  [4711, 'errno 4711'],
] as const) {
  test(`errnoName of ${errno} is ${name}`, () => {
    assert.equal(errnoName(errno), name);
  });
}
