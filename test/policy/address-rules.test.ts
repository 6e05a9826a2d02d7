import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AddressRules } from '../../src/policy/address-rules.ts';
import { parseAddress, parsePrefix } from '../../src/policy/prefix.ts';
import type { Rule } from '../../src/policy/rule.ts';
import { holdsAddress, type Who } from '../../src/policy/who.ts';
import { makeRng } from '../dns/rng.ts';

function rule(who: Who): Rule {
  return { who, action: 'allow', ports: [], source: 'a rule' };
}

function cidr(text: string, ...except: readonly string[]): Rule {
  return rule({
    kind: 'prefix',
    prefix: parsePrefix(text).prefix,
    except: except.map((each) => parsePrefix(each).prefix),
  });
}

describe('AddressRules.holding', () => {
  test('finds what a walk through all rules finds, of 2,000 addresses and 300 rules', () => {
    const rng = makeRng(7);
    const v4 = () => `10.${rng.below(4)}.${rng.below(4)}.${rng.below(256)}`;
    const v6 = () => `2001:db8:${rng.below(4)}::${rng.below(256).toString(16)}`;
    const rules = [
      rule({ kind: 'any' }),
      cidr('0.0.0.0/0'),
      cidr('::/0'),
      cidr('10.0.0.0/8', '10.1.0.0/16'),
      rule({ kind: 'exact', name: 'a.test' }),
      ...Array.from({ length: 150 }, () => cidr(`${v4()}/${8 + rng.below(25)}`)),
      ...Array.from({ length: 150 }, () => cidr(`${v6()}/${32 + rng.below(97)}`)),
    ];
    const index = new AddressRules(rules);
    for (let round = 0; round < 2_000; round++) {
      const address = parseAddress(round % 2 ? v4() : v6());
      const expected = new Set(rules.filter(({ who }) => holdsAddress(who, address)));
      assert.deepEqual(new Set(index.holding(address)), expected);
    }
  });
});
