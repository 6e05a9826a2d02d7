import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import { parseFlagRules, type RuleFlags } from '../../src/policy/flag-rules.ts';
import { parsePrefix } from '../../src/policy/prefix.ts';
import { canonicalRule, parseCanonicalRule, type Rule } from '../../src/policy/rule.ts';

const NONE: RuleFlags = { cidr: [], denyCidr: [], cn: [], name: [], denyName: [], port: [] };

function canonical(flags: Partial<RuleFlags>): string[] {
  return parseFlagRules({ ...NONE, ...flags }).rules.map(canonicalRule);
}

describe('canonicalRule', () => {
  const same: readonly (readonly [a: Partial<RuleFlags>, b: Partial<RuleFlags>])[] = [
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

  const different: readonly (readonly [a: Partial<RuleFlags>, b: Partial<RuleFlags>])[] = [
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
  const { rules } = parseFlagRules({
    ...NONE,
    cidr: ['192.0.2.0/24', '::/0'],
    cn: ['.a.test'],
    name: ['b.test', '*.c.test'],
    denyCidr: ['192.0.2.1'],
    denyName: ['**.d.test'],
    port: ['443', '8000-8100/udp', 'icmp'],
  });
  const more: Rule[] = [
    { who: { kind: 'any' }, action: 'audit', ports: [], source: 'any' },
    { who: { kind: 'suffix', suffix: '' }, action: 'lookup', ports: [], source: 'every name' },
    {
      who: {
        kind: 'prefix',
        prefix: parsePrefix('10.0.0.0/8').prefix,
        except: ['10.1.0.0/16', '10.2.0.1'].map((text) => parsePrefix(text).prefix),
      },
      action: 'deny',
      ports: [{ l4Proto: 1, low: 8, high: 8 }],
      source: 'with exceptions',
    },
  ];
  for (const rule of [...rules, ...more]) {
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
