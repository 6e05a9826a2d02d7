import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/datapath/layout.ts';
import { MAX_HELD, MAX_PATTERNS } from '../../src/policy/compile-names.ts';

test('the bounds that a policy is held against are those of the kernel programs', () => {
  assert.deepEqual([MAX_HELD, MAX_PATTERNS], [LIMITS.MAX_HELD, LIMITS.MAX_PATTERNS]);
});
