import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import { buildPolicy, canonicalRule, type PolicyFlags, parseCanonicalRule } from '../../src/policy/rule.ts';

const NONE: PolicyFlags = {
  cidr: [],
  denyCidr: [],
  cn: [],
  name: [],
  denyName: [],
  port: [],
  dns: 'open',
  audit: false,
  allowPrivateAnswers: false,
  noInbound: false,
};

function canonical(flags: Partial<PolicyFlags>): string[] {
  return buildPolicy({ ...NONE, ...flags }).policy.rules.map(canonicalRule);
}

describe('buildPolicy', () => {
  test('makes a rule of each value and names it after its flag', () => {
    const { policy, remarks } = buildPolicy({
      ...NONE,
      cidr: ['192.0.2.0/24'],
      cn: ['.GitLab.com'],
      name: ['*.a.test'],
      denyCidr: ['192.0.2.1'],
      denyName: ['**.evil.test'],
      port: ['443/tcp'],
    });
    assert.deepEqual(
      policy.rules.map(({ action, ports, source }) => [action, ports.length, source]),
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

  test('passes the settings on', () => {
    const settings = { dns: 'strict', audit: true, allowPrivateAnswers: true, noInbound: true } as const;
    assert.deepEqual(buildPolicy({ ...NONE, ...settings }).policy, { rules: [], ...settings });
  });

  test('says which prefix it masked', () => {
    assert.deepEqual(buildPolicy({ ...NONE, cidr: ['10.0.2.5/24'] }).remarks, [
      '-cidr: prefix "10.0.2.5/24" has bits set past its length: taken as "10.0.2.0/24"',
    ]);
  });

  const folded: readonly (readonly [flags: Partial<PolicyFlags>, remark: string])[] = [
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
      const { policy, remarks } = buildPolicy({ ...NONE, ...flags });
      assert.equal(policy.rules.length, 1);
      assert.deepEqual(remarks, [`${remark}: taken once`]);
    });
  }

  const apart: readonly Partial<PolicyFlags>[] = [
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
    assert.equal(buildPolicy({ ...NONE, cn: ['a'], port: ports }).policy.rules[0]?.ports.length, 16);
    assert.throws(
      () => buildPolicy({ ...NONE, cn: ['a'], port: [...ports, '17'] }),
      (error) =>
        error instanceof UsageError && /"1,3,.*,17" makes 18 ranges.*at most 16/u.test(error.message),
    );
  });

  test('counts ranges after joining them', () => {
    const ports = Array.from({ length: 100 }, (_, index) => String(8000 + index));
    assert.equal(buildPolicy({ ...NONE, cn: ['a'], port: ports }).policy.rules[0]?.ports.length, 2);
  });

  for (const key of ['cidr', 'denyCidr', 'cn', 'name', 'denyName', 'port'] as const) {
    test(`throws UsageError for a bad value of ${key}`, () => {
      assert.throws(
        () => buildPolicy({ ...NONE, [key]: ['a b'] }),
        (error) => error instanceof UsageError && error.message.includes('"a b"'),
      );
    });
  }
});

describe('canonicalRule', () => {
  const same: readonly (readonly [a: Partial<PolicyFlags>, b: Partial<PolicyFlags>])[] = [
    [{ cidr: ['10.0.2.5/24'] }, { cidr: ['10.0.2.0/24'] }],
    [
      { cn: ['a.test'], port: ['80', '443'] },
      { cn: ['A.test.'], port: ['443/udp', '443/tcp', '80/tcp', '80/udp'] },
    ],
    [{ cidr: ['2001:DB8::/32'] }, { cidr: ['2001:db8:0::/32'] }],
  ];
  for (const [a, b] of same) {
    test(`is the same for ${JSON.stringify(a)} and ${JSON.stringify(b)}`, () =>
      assert.deepEqual(canonical(a), canonical(b)));
  }

  const different: readonly (readonly [a: Partial<PolicyFlags>, b: Partial<PolicyFlags>])[] = [
    [{ cn: ['a.test'] }, { cn: ['a.test'], port: ['443'] }],
    [
      { cn: ['a.test'], port: ['443/tcp'] },
      { cn: ['a.test'], port: ['443/udp'] },
    ],
    [{ cidr: ['10.0.0.0/8'] }, { cidr: ['10.0.0.0/9'] }],
    [{ name: ['*.test'] }, { name: ['**.test'] }],
  ];
  for (const [a, b] of different) {
    test(`differs for ${JSON.stringify(a)} and ${JSON.stringify(b)}`, () =>
      assert.notDeepEqual(canonical(a), canonical(b)));
  }
});

describe('parseCanonicalRule', () => {
  const { policy } = buildPolicy({
    ...NONE,
    cidr: ['192.0.2.0/24', '::/0'],
    cn: ['.a.test'],
    name: ['b.test', '*.c.test'],
    denyCidr: ['192.0.2.1'],
    denyName: ['**.d.test'],
    port: ['443', '8000-8100/udp', 'icmp'],
  });
  for (const rule of policy.rules) {
    test(`undoes canonicalRule of ${rule.source}`, () => {
      assert.deepEqual(parseCanonicalRule(canonicalRule(rule), rule.source), rule);
    });
  }

  for (const text of [
    '',
    'allow',
    'pass exact a.test any',
    'allow name a.test any',
    'allow exact a.test 6/443',
    'allow prefix x any',
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseCanonicalRule(text, ''), UsageError);
    });
  }
});
