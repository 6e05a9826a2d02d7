import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { applyPolicy } from '../../src/datapath/policy-slot.ts';
import { outbound } from '../bpf/frames.ts';
import { Harness } from '../bpf/harness.ts';
import { compile, type PolicySpec } from '../bpf/policy-builder.ts';
import { tcp } from '../bpf/segments.ts';

const ALLOWED = '198.51.100.7';

/** Each allows the address by another kind of map. */
const KINDS: { kind: string; rules: NonNullable<PolicySpec['rules']> }[] = [
  { kind: 'hosts', rules: { 1: { cidr: ALLOWED } } },
  { kind: 'prefixes', rules: { 1: { cidr: '198.51.100.0/24' } } },
];

describe('applyPolicy', () => {
  let harness: Harness;
  before(async () => {
    harness = await Harness.load(['egress']);
  });
  after(() => harness.close());

  for (const { kind, rules } of KINDS) {
    test(`does not bring back the ${kind} of the policy before the last, when nobody freed them`, async () => {
      await applyPolicy(harness.state, compile({ rules }));
      assert.equal(harness.send('egress', outbound(ALLOWED, tcp())), 'pass');
      await applyPolicy(harness.state, compile({}));
      assert.equal(harness.send('egress', outbound(ALLOWED, tcp())), 'refuse');
      await applyPolicy(
        harness.state,
        compile({ rules: { 2: { cidr: '203.0.113.9' }, 3: { name: 'a.test' } } }),
      );
      assert.equal(harness.send('egress', outbound(ALLOWED, tcp())), 'refuse');
      await applyPolicy(harness.state, compile({ rules }));
      assert.equal(harness.send('egress', outbound(ALLOWED, tcp())), 'pass');
    });
  }
});
