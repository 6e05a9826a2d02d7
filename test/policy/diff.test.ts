import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diffPolicies } from '../../src/policy/diff.ts';
import type { Policy, SubjectPolicy } from '../../src/policy/policy.ts';
import { parsePort } from '../../src/policy/port.ts';
import { parsePrefix } from '../../src/policy/prefix.ts';
import type { Rule } from '../../src/policy/rule.ts';
import { parseSubject } from '../../src/policy/subject.ts';

const BASE: Policy = { rules: [], dns: 'open', audit: false, allowPrivateAnswers: false, inbound: 'all' };

function cidr(text: string, source = text, more: Partial<Rule> = {}): Rule {
  const who = { kind: 'prefix', prefix: parsePrefix(text).prefix, except: [] } as const;
  return { who, action: 'allow', ports: [], source, ...more };
}

function policy(rules: readonly Rule[], more: Partial<Policy> = {}, subject = 'host'): SubjectPolicy {
  return { subject: parseSubject(subject), policy: { ...BASE, rules, ...more }, names: ['p'] };
}

function diff(before: readonly SubjectPolicy[], after: readonly SubjectPolicy[]): Promise<string[]> {
  return diffPolicies(before, after, async () => {});
}

const A = cidr('192.0.2.0/24');
const B = cidr('198.51.100.0/24');
const C = cidr('203.0.113.0/24');

describe('diffPolicies', () => {
  test('of equal policies is empty, whatever the order of rules and of subjects', async () => {
    const other = policy([C], {}, 'cgroup:/a');
    assert.deepEqual(await diff([policy([A, B, C])], [policy([cidr('192.0.2.0/24'), B, C])]), []);
    assert.deepEqual(await diff([policy([A, B, C]), other], [other, policy([C, A, B])]), []);
  });

  test('tells of rules that come and go, those that go first', async () => {
    assert.deepEqual(await diff([policy([A, B])], [policy([B, C])]), [
      '- allow 192.0.2.0/24 (192.0.2.0/24)',
      '+ allow 203.0.113.0/24 (203.0.113.0/24)',
    ]);
  });

  const places = [
    { where: 'at the beginning', before: [B, C], after: [A, B, C] },
    { where: 'in the middle', before: [B, C], after: [B, A, C] },
    { where: 'at the end', before: [B, C], after: [B, C, A] },
    { where: 'in a list that is turned round', before: [B, C], after: [C, A, B] },
    { where: 'alone', before: [], after: [A] },
  ];
  for (const { where, before, after } of places) {
    test(`tells of one rule ${where}, and of it alone`, async () => {
      const line = 'allow 192.0.2.0/24 (192.0.2.0/24)';
      assert.deepEqual(await diff([policy(before)], [policy(after)]), [`+ ${line}`]);
      assert.deepEqual(await diff([policy(after)], [policy(before)]), [`- ${line}`]);
    });
  }

  test('tells of a rule that has another name only', async () => {
    assert.deepEqual(await diff([policy([A])], [policy([cidr('192.0.2.0/24', 'office')])]), [
      '- allow 192.0.2.0/24 (192.0.2.0/24)',
      '+ allow 192.0.2.0/24 (office)',
    ]);
  });

  test('takes ports for the same that are, in whatever way they are written', async () => {
    const apart = cidr('192.0.2.0/24', 'a', { ports: [...parsePort('80-81/tcp'), ...parsePort('82/tcp')] });
    const merged = cidr('192.0.2.0/24', 'a', { ports: parsePort('80-82/tcp') });
    assert.deepEqual(await diff([policy([apart])], [policy([merged])]), []);
    const other = cidr('192.0.2.0/24', 'a', { ports: parsePort('80-83/tcp') });
    assert.deepEqual(await diff([policy([apart])], [policy([other])]), [
      '- allow 192.0.2.0/24 on 80-81/tcp, 82/tcp (a)',
      '+ allow 192.0.2.0/24 on 80-83/tcp (a)',
    ]);
  });

  const settings: readonly {
    readonly what: string;
    readonly after: Partial<Policy>;
    readonly line: string;
  }[] = [
    { what: 'dns', after: { dns: 'strict' }, line: '+ dns strict' },
    { what: 'audit', after: { audit: true }, line: '+ audit: nothing is dropped' },
    {
      what: 'private answers',
      after: { allowPrivateAnswers: true },
      line: '+ answers may point to private and other inward addresses',
    },
    { what: 'no calls from outside', after: { inbound: [] }, line: '+ replies to calls from outside: none' },
    {
      what: 'calls from outside on a port',
      after: { inbound: parsePort('22/tcp') },
      line: '+ replies to calls from outside: only on 22/tcp, and to pings',
    },
  ];
  for (const { what, after, line } of settings) {
    test(`tells of settings: ${what}`, async () => {
      const lines = await diff([policy([A])], [policy([A], after)]);
      assert.ok(lines.includes(line), lines.join('\n'));
    });
  }

  test('tells of rates', async () => {
    const shaped: SubjectPolicy = { ...policy([A]), shaping: { rateBitsPerSecond: 1e6 } };
    assert.deepEqual(await diff([policy([A])], [shaped]), ['+ sends at 1mbit at most']);
    assert.deepEqual(await diff([shaped], [policy([A])]), ['- sends at 1mbit at most']);
  });

  test('says of others than the host whom a line is for', async () => {
    const own = policy([A], { inbound: [] }, 'cgroup:/a');
    assert.deepEqual(await diff([policy([])], [policy([]), own]), [
      '+ cgroup:/a: dns open',
      '+ cgroup:/a: replies to calls from outside: none',
      '+ cgroup:/a: allow 192.0.2.0/24 (192.0.2.0/24)',
    ]);
    assert.equal((await diff([policy([]), own], [policy([])])).length, 3);
  });

  test('gives others a turn in the middle of many rules', async () => {
    const many = Array.from({ length: 20_000 }, (_, index) => cidr(`10.${index >> 8}.${index & 255}.0/24`));
    let turns = 0;
    const lines = await diffPolicies([policy(many)], [policy(many.slice(1))], async () => {
      turns += 1;
    });
    assert.deepEqual(lines, ['- allow 10.0.0.0/24 (10.0.0.0/24)']);
    assert.ok(turns >= 5, `${turns} turns`);
  });
});
