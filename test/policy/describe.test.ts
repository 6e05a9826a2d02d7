import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeRule, describeRules, describeSettings } from '../../src/policy/describe.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { parsePort } from '../../src/policy/port.ts';
import { parsePrefix } from '../../src/policy/prefix.ts';
import type { Rule } from '../../src/policy/rule.ts';
import type { Who } from '../../src/policy/who.ts';

const prefix = (text: string) => parsePrefix(text).prefix;

function rule(who: Who, ...ports: readonly string[]): Rule {
  return { who, action: 'allow', ports: ports.flatMap(parsePort), source: 'a rule' };
}

const BASE: Policy = { rules: [], dns: 'open', audit: false, allowPrivateAnswers: false, inbound: 'all' };

describe('describeRule', () => {
  const rows: readonly (readonly [Rule, string])[] = [
    [rule({ kind: 'any' }), 'allow every address'],
    [{ ...rule({ kind: 'any' }), action: 'deny' }, 'deny every address'],
    [rule({ kind: 'prefix', prefix: prefix('10.0.0.0/8'), except: [] }), 'allow 10.0.0.0/8'],
    [
      rule({
        kind: 'prefix',
        prefix: prefix('10.0.0.0/8'),
        except: [prefix('10.1.0.0/16'), prefix('10.2.0.0/16')],
      }),
      'allow 10.0.0.0/8 but not 10.1.0.0/16 but not 10.2.0.0/16',
    ],
    [rule({ kind: 'exact', name: 'a.test' }), 'allow the name a.test'],
    [rule({ kind: 'pattern', pattern: '*.a.test' }), 'allow names like *.a.test'],
    [rule({ kind: 'suffix', suffix: '' }), 'allow every name'],
    [rule({ kind: 'suffix', suffix: '.a.test' }), 'allow names that end in ".a.test"'],
    [rule({ kind: 'exact', name: 'a.test' }, '443'), 'allow the name a.test on 443/tcp, 443/udp'],
    [rule({ kind: 'exact', name: 'a.test' }, '8000-8100/udp'), 'allow the name a.test on 8000-8100/udp'],
    [rule({ kind: 'exact', name: 'a.test' }, 'icmp'), 'allow the name a.test on icmp, icmpv6'],
  ];
  for (const [given, text] of rows) test(text, () => assert.equal(describeRule(given), text));

  test('a bare suffix has an example of what else it matches', () => {
    assert.match(
      describeRule(rule({ kind: 'suffix', suffix: 'ome.com' })),
      /^allow names that end in "ome\.com", which is also \S+ome\.com$/,
    );
  });
});

test('describeRules says how lookups are treated', () => {
  assert.deepEqual(describeRules(BASE), ['lookups: of any name']);
  const [, last] = describeRules({ ...BASE, dns: 'strict', rules: [rule({ kind: 'any' })] });
  assert.match(last ?? '', /only of listed names/);
});

describe('describeSettings', () => {
  test('of defaults says nothing', () => assert.deepEqual(describeSettings(BASE), []));

  test('says which ports all rules have in common, and nothing where they differ', () => {
    const https = rule({ kind: 'any' }, '443/tcp');
    assert.deepEqual(describeSettings({ ...BASE, rules: [https, https] }), [
      'rules allow only what goes on 443/tcp',
    ]);
    assert.deepEqual(describeSettings({ ...BASE, rules: [https, rule({ kind: 'any' })] }), []);
  });
});
