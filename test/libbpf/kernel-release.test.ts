import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { SystemError, UnsupportedError } from '../../src/errors.ts';
import { isAtLeast } from '../../src/libbpf/kernel-release.ts';
import { loadFailure } from '../../src/libbpf/object.ts';

for (const [kernel, isNew] of [
  ['6.12.0-1-amd64', true],
  ['6.1.0-18-amd64', false],
  ['6.18.5', true],
  ['7.0', true],
  ['5.15.0', false],
] as const) {
  test(`kernel ${kernel} is ${isNew ? 'at least' : 'older than'} 6.12`, () =>
    assert.equal(isAtLeast(kernel, 6, 12), isNew));
}

const { EINVAL, EPERM } = constants.errno;

test('a load that fails on an old kernel says which is needed: exit code 3', () => {
  const thrown = loadFailure(EINVAL, 'x.o', 'unknown func bpf_loop#181', '5.10.0-30-amd64');
  assert.ok(thrown instanceof UnsupportedError);
  assert.equal(
    thrown.message,
    'Cannot load BPF object "x.o": Linux 5.10.0-30-amd64 is too old, 6.1 or newer is needed',
  );
  assert.match(String(thrown.cause), /unknown func/u);
});

test('a load that fails on a kernel that is new enough says what the verifier does', () => {
  const thrown = loadFailure(EINVAL, 'x.o', 'invalid access', '6.1.0-18-amd64');
  assert.ok(thrown instanceof SystemError);
  assert.match(thrown.message, /EINVAL\ninvalid access$/u);
});

test('a load without privilege says so on any kernel', () => {
  for (const kernel of ['5.10.0', '6.18.0'])
    assert.match(loadFailure(EPERM, 'x.o', '', kernel).message, /not permitted, this needs CAP_BPF/u);
});
