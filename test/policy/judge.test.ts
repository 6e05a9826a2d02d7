import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseFlagRules, type RuleFlags } from '../../src/policy/flag-rules.ts';
import { judge } from '../../src/policy/judge.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { parseAddress, parsePrefix } from '../../src/policy/prefix.ts';
import type { Rule } from '../../src/policy/rule.ts';

const NONE: RuleFlags = { cidr: [], denyCidr: [], cn: [], name: [], denyName: [], port: [] };

/** Settings beside the rules, and rules that no flag makes. */
interface Settings {
  readonly dns?: 'open' | 'strict';
  readonly audit?: boolean;
  readonly more?: readonly Rule[];
}

function policyOf({
  dns = 'open',
  audit = false,
  more = [],
  ...flags
}: Partial<RuleFlags> & Settings): Policy {
  const { rules } = parseFlagRules({ ...NONE, ...flags });
  return { rules: [...rules, ...more], dns, audit, allowPrivateAnswers: false, inbound: 'all' };
}

const inBlock = (text: string) => parsePrefix(text).prefix;
const AUDIT_ALL: Rule = { who: { kind: 'any' }, action: 'audit', ports: [], source: 'audit-all' };
const MOST_OF_TEN: Rule = {
  who: { kind: 'prefix', prefix: inBlock('10.0.0.0/8'), except: [inBlock('10.1.0.0/16')] },
  action: 'allow',
  ports: [{ l4Proto: 6, low: 443, high: 443 }],
  source: 'ten',
};
const LOOKUP: Rule = {
  who: { kind: 'exact', name: 'l.test' },
  action: 'lookup',
  ports: [],
  source: 'lookup',
};

interface Row {
  readonly flags: Partial<RuleFlags> & Settings;
  readonly to: string;
  readonly names?: readonly string[];
  readonly l4Proto?: number;
  readonly port?: number;
  readonly result: string;
}

describe('judge', () => {
  const lists = { cidr: ['192.0.2.0/24'], cn: ['.a.test'] };
  const rows: readonly Row[] = [
    { flags: {}, to: '192.0.2.1', result: 'deny no-rule' },
    { flags: lists, to: '192.0.2.1', result: 'allow rule-cidr -cidr=192.0.2.0/24' },
    { flags: lists, to: '192.0.3.1', result: 'deny no-rule' },
    { flags: lists, to: '2001:db8::1', result: 'deny no-rule' },
    { flags: { cidr: ['::/0'] }, to: '192.0.2.1', result: 'deny no-rule' },
    { flags: { cidr: ['0.0.0.0/0'] }, to: '2001:db8::1', result: 'deny no-rule' },
    { flags: lists, to: '203.0.113.1', names: ['www.a.test'], result: 'allow rule-name -cn=.a.test' },
    { flags: lists, to: '203.0.113.1', names: ['a.test'], result: 'deny no-rule' },
    { flags: lists, to: '192.0.2.1', names: ['www.a.test'], result: 'allow rule-cidr -cidr=192.0.2.0/24' },
    {
      flags: { ...lists, denyCidr: ['192.0.2.1'] },
      to: '192.0.2.1',
      names: ['www.a.test'],
      result: 'deny deny-cidr -deny-cidr=192.0.2.1',
    },
    {
      flags: { ...lists, denyCidr: ['192.0.2.1'] },
      to: '192.0.2.2',
      result: 'allow rule-cidr -cidr=192.0.2.0/24',
    },
    {
      flags: { cidr: ['192.0.2.1'], denyCidr: ['192.0.2.0/24'] },
      to: '192.0.2.1',
      result: 'deny deny-cidr -deny-cidr=192.0.2.0/24',
    },
    {
      flags: { ...lists, denyName: ['evil.a.test'] },
      to: '203.0.113.1',
      names: ['evil.a.test'],
      result: 'deny no-rule',
    },
    {
      flags: { ...lists, denyName: ['evil.a.test'] },
      to: '203.0.113.1',
      names: ['evil.a.test', 'www.a.test'],
      result: 'allow rule-name -cn=.a.test',
    },
    {
      flags: { ...lists, denyName: ['evil.a.test'] },
      to: '192.0.2.1',
      names: ['evil.a.test'],
      result: 'allow rule-cidr -cidr=192.0.2.0/24',
    },
    { flags: { ...lists, port: ['443'] }, to: '192.0.2.1', result: 'allow rule-cidr -cidr=192.0.2.0/24' },
    { flags: { ...lists, port: ['443'] }, to: '192.0.2.1', port: 80, result: 'deny port' },
    {
      flags: { ...lists, port: ['443'] },
      to: '203.0.113.1',
      names: ['x.a.test'],
      port: 80,
      result: 'deny port',
    },
    { flags: { ...lists, port: ['443'] }, to: '203.0.113.1', port: 80, result: 'deny no-rule' },
    { flags: { ...lists, port: ['443'] }, to: '192.0.2.1', l4Proto: 1, port: 8, result: 'deny port' },
    { flags: lists, to: '192.0.2.1', l4Proto: 1, port: 8, result: 'allow rule-cidr -cidr=192.0.2.0/24' },
    {
      flags: { ...lists, denyCidr: ['192.0.2.1'], port: ['443'] },
      to: '192.0.2.1',
      port: 80,
      result: 'deny deny-cidr -deny-cidr=192.0.2.1',
    },
    { flags: { ...lists, dns: 'strict' }, to: '192.0.2.1', port: 53, result: 'deny port' },
    { flags: { ...lists, dns: 'strict' }, to: '192.0.2.1', port: 853, l4Proto: 17, result: 'deny port' },
    {
      flags: { ...lists, dns: 'strict' },
      to: '203.0.113.1',
      names: ['x.a.test'],
      port: 53,
      result: 'deny port',
    },
    {
      flags: { ...lists, dns: 'strict' },
      to: '192.0.2.1',
      port: 854,
      result: 'allow rule-cidr -cidr=192.0.2.0/24',
    },
    {
      flags: { ...lists, dns: 'strict', port: ['53'] },
      to: '192.0.2.1',
      port: 53,
      result: 'allow rule-cidr -cidr=192.0.2.0/24',
    },
    {
      flags: { ...lists, dns: 'strict' },
      to: '192.0.2.1',
      l4Proto: 1,
      port: 8,
      result: 'allow rule-cidr -cidr=192.0.2.0/24',
    },
    {
      flags: { ...lists, dns: 'strict', denyCidr: ['192.0.2.1'], port: ['53'] },
      to: '192.0.2.1',
      port: 53,
      result: 'deny deny-cidr -deny-cidr=192.0.2.1',
    },
    { flags: { more: [MOST_OF_TEN] }, to: '10.2.0.1', result: 'allow rule-cidr ten' },
    { flags: { more: [MOST_OF_TEN] }, to: '10.2.0.1', port: 80, result: 'deny port' },
    { flags: { more: [MOST_OF_TEN] }, to: '10.1.0.1', result: 'deny no-rule' },
    { flags: { more: [AUDIT_ALL] }, to: '10.1.0.1', result: 'would_deny audit audit-all' },
    { flags: { more: [AUDIT_ALL] }, to: '2001:db8::1', result: 'would_deny audit audit-all' },
    { flags: { more: [AUDIT_ALL, MOST_OF_TEN] }, to: '10.2.0.1', result: 'allow rule-cidr ten' },
    {
      flags: { denyCidr: ['10.1.0.0/16'], more: [AUDIT_ALL] },
      to: '10.1.0.1',
      result: 'deny deny-cidr -deny-cidr=10.1.0.0/16',
    },
    { flags: { more: [LOOKUP] }, to: '10.1.0.1', names: ['l.test'], result: 'deny no-rule' },
    { flags: { audit: true }, to: '192.0.2.1', result: 'would_deny no-rule' },
    { flags: { ...lists, audit: true }, to: '192.0.2.1', result: 'allow rule-cidr -cidr=192.0.2.0/24' },
  ];
  for (const { flags, to, names = [], l4Proto = 6, port = 443, result } of rows) {
    test(`${JSON.stringify(flags)}: ${to}:${port}/${l4Proto} [${names.join(' ')}] → ${result}`, () => {
      const { verdict, reason, rule } = judge(policyOf(flags), {
        addr: parseAddress(to),
        l4Proto,
        port,
        names,
      });
      assert.equal([verdict, reason, rule?.source ?? ''].join(' ').trim(), result);
    });
  }
});
