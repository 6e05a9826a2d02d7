import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileNames } from '../../src/policy/compile-names.ts';
import { mayLookUp } from '../../src/policy/may-look-up.ts';
import { parseCanonicalRule } from '../../src/policy/rule.ts';

const rows: readonly (readonly [rule: string, asked: readonly string[], refused: readonly string[]])[] = [
  ['allow exact www.a.test', ['www.a.test', 'a.test', 'test'], ['x.a.test', 'w.a.test', 'x.www.a.test']],
  ['allow suffix .a.test', ['x.a.test', 'a.test', 'test'], ['b.test', 'xa.test']],
  ['audit suffix me.a.test', ['home.a.test', 'me.a.test', 'a.test'], ['e.a.test']],
  ['allow pattern *.a.test', ['x.a.test', 'a.test'], ['x.y.a.test']],
  ['lookup exact a.test', ['a.test', 'test'], ['b.test']],
  ['allow any any', [], ['a.test']],
  ['deny exact a.test', [], ['a.test', 'test']],
];
for (const [text, asked, refused] of rows) {
  test(`under strict, by ${text}`, () => {
    const rules = [parseCanonicalRule(`${text} any`, 'r')];
    for (const name of asked) assert.equal(mayLookUp({ rules, dns: 'strict' }, name), true, name);
    for (const name of refused) assert.equal(mayLookUp({ rules, dns: 'strict' }, name), false, name);
    assert.equal(mayLookUp({ rules, dns: 'open' }, 'b.test'), true);
  });

  test(`under strict, all that is above the names of ${text} as it is compiled`, () => {
    const rule = parseCanonicalRule(`${text} any`, 'r');
    const { entries } = compileNames([{ id: 1, rule }]);
    for (const { reversed, ancestor } of entries) {
      const name = [...reversed.replace('\0', '')].reverse().join('');
      if (ancestor && name !== '')
        assert.equal(mayLookUp({ rules: [rule], dns: 'strict' }, name), true, name);
    }
  });
}

test('a denied name, however it is listed', () => {
  const rules = ['allow suffix .a.test any', 'deny exact x.a.test any'].map((text) =>
    parseCanonicalRule(text, 'r'),
  );
  assert.equal(mayLookUp({ rules, dns: 'open' }, 'x.a.test'), false);
  assert.equal(mayLookUp({ rules, dns: 'strict' }, 'y.a.test'), true);
});
