import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/datapath/layout.ts';
import { MAX_HELD, MAX_PATTERNS } from '../../src/policy/compile-names.ts';
import { MAX_PORTS } from '../../src/policy/port.ts';
import { MAX_COVERING } from '../../src/policy/rule-sets.ts';

test('the bounds that a policy is held against are those of the kernel programs', () => {
  assert.deepEqual(
    { MAX_HELD, MAX_PATTERNS, MAX_COVERING, MAX_PORTS },
    {
      MAX_HELD: LIMITS.MAX_HELD,
      MAX_PATTERNS: LIMITS.MAX_PATTERNS,
      MAX_COVERING: LIMITS.MAX_COVERING,
      MAX_PORTS: LIMITS.MAX_PORTS,
    },
  );
});
