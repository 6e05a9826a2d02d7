import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import { parseFlagRules, type RuleFlags } from '../../src/policy/flag-rules.ts';
import { canonicalRule } from '../../src/policy/rule.ts';

const NONE: RuleFlags = { cidr: [], denyCidr: [], cn: [], name: [], denyName: [], port: [] };

function canonical(flags: Partial<RuleFlags>): string[] {
  return parseFlagRules({ ...NONE, ...flags }).rules.map(canonicalRule);
}

describe('parseFlagRules', () => {
  test('makes a rule of each value and names it after its flag', () => {
    const { rules, remarks } = parseFlagRules({
      ...NONE,
      cidr: ['192.0.2.0/24'],
      cn: ['.GitLab.com'],
      name: ['*.a.test'],
      denyCidr: ['192.0.2.1'],
      denyName: ['**.evil.test'],
      port: ['443/tcp'],
    });
    assert.deepEqual(
      rules.map(({ action, ports, source }) => [action, ports.length, source]),
      [
        ['allow', 1, '-cidr=192.0.2.0/24'],
        ['allow', 1, '-cn=.GitLab.com'],
        ['allow', 1, '-name=*.a.test'],
        ['deny', 0, '-deny-cidr=192.0.2.1'],
        ['deny', 0, '-deny-name=**.evil.test'],
      ],
    );
    assert.deepEqual(remarks, []);
  });

  test('says which prefix it masked', () => {
    assert.deepEqual(parseFlagRules({ ...NONE, cidr: ['10.0.2.5/24'] }).remarks, [
      '-cidr: prefix "10.0.2.5/24" has bits set past its length: taken as "10.0.2.0/24"',
    ]);
  });

  const folded: readonly (readonly [flags: Partial<RuleFlags>, remark: string])[] = [
    [
      { cidr: ['192.0.2.1', '::ffff:192.0.2.1'] },
      '"-cidr=::ffff:192.0.2.1" says the same as "-cidr=192.0.2.1"',
    ],
    [{ cn: ['.a.test', '.A.test.'] }, '"-cn=.A.test." says the same as "-cn=.a.test"'],
    [{ cn: ['.a.test'], name: ['**.a.test'] }, '"-name=**.a.test" says the same as "-cn=.a.test"'],
    [{ denyName: ['a.test', 'A.test'] }, '"-deny-name=A.test" says the same as "-deny-name=a.test"'],
  ];
  for (const [flags, remark] of folded) {
    test(`takes once: ${JSON.stringify(flags)}`, () => {
      const { rules, remarks } = parseFlagRules({ ...NONE, ...flags });
      assert.equal(rules.length, 1);
      assert.deepEqual(remarks, [`${remark}: taken once`]);
    });
  }

  const apart: readonly Partial<RuleFlags>[] = [
    { cidr: ['192.0.2.1'], denyCidr: ['192.0.2.1'] },
    { cn: ['a.test'], name: ['a.test'] },
    { name: ['a.test'], denyName: ['a.test'] },
    { cn: ['a.test', '.a.test'] },
    { cidr: ['0.0.0.0/0', '::/0'] },
  ];
  for (const flags of apart) {
    test(`keeps apart: ${JSON.stringify(flags)}`, () => assert.equal(new Set(canonical(flags)).size, 2));
  }

  test('takes 16 ranges of ports and no more', () => {
    const ports = ['1', '3', '5', '7', '9', '11', '13', '15'];
    assert.equal(parseFlagRules({ ...NONE, cn: ['a'], port: ports }).rules[0]?.ports.length, 16);
    assert.throws(
      () => parseFlagRules({ ...NONE, cn: ['a'], port: [...ports, '17'] }),
      (error) =>
        error instanceof UsageError && /"1,3,.*,17" makes 18 ranges.*at most 16/u.test(error.message),
    );
  });

  test('counts ranges after joining them', () => {
    const ports = Array.from({ length: 100 }, (_, index) => String(8000 + index));
    assert.equal(parseFlagRules({ ...NONE, cn: ['a'], port: ports }).rules[0]?.ports.length, 2);
  });

  for (const key of ['cidr', 'denyCidr'] as const) {
    test(`refuses an IPv4-mapped prefix that is wide in ${key}`, () => {
      assert.throws(
        () => parseFlagRules({ ...NONE, [key]: ['::ffff:10.0.0.0/24'] }),
        (error) =>
          error instanceof UsageError && /10\.0\.0\.0\/24, or 96 to 128, is legal/u.test(error.message),
      );
    });
  }

  for (const key of ['cidr', 'denyCidr', 'cn', 'name', 'denyName', 'port'] as const) {
    test(`throws UsageError for a bad value of ${key}`, () => {
      assert.throws(
        () => parseFlagRules({ ...NONE, [key]: ['a b'] }),
        (error) => error instanceof UsageError && error.message.includes('"a b"'),
      );
    });
  }
});
