import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError } from '../../src/errors.ts';
import {
  compileNames,
  type NameEntry,
  type NameTable,
  type NumberedRule,
} from '../../src/policy/compile-names.ts';
import { matchesName, parsePattern, parseSuffix } from '../../src/policy/name.ts';
import { holdsName } from '../../src/policy/who.ts';
import { makeRng, type Rng } from '../dns/rng.ts';

/** `.a.test` and `a.test` by -cn, `=a.test` and patterns by -name, `!…` by -deny-name; ids from 1. */
function rulesOf(...texts: readonly string[]): NumberedRule[] {
  return texts.map((text, index) => {
    const action = text.startsWith('!') ? 'deny' : 'allow';
    const isName = /^[!=]|\*/u.test(text);
    const bare = text.replace(/^[!=]/u, '');
    const who = isName ? parsePattern(bare) : parseSuffix(bare);
    return { id: index + 1, rule: { who, action, ports: [], source: text } };
  });
}

const reverse = (text: string): string => [...text].reverse().join('');

/** As the kernel looks up: the longest entry that begins the reversed name with its terminator. */
function lookUp(table: NameTable, name: string): NameEntry | undefined {
  const key = `${reverse(name)}\0`;
  return table.entries
    .filter((entry) => key.startsWith(entry.reversed))
    .sort((a, b) => b.reversed.length - a.reversed.length)
    .at(0);
}

/** Rules that hold a name, as the kernel finds them. */
function held(table: NameTable, name: string): { allow: number[]; isDenied: boolean } {
  const entry = lookUp(table, name);
  const hits = (entry?.patternIndexes ?? [])
    .map((index) => table.patterns[index])
    .filter((pattern) => pattern !== undefined)
    .filter(({ reversed }) => matchesName({ kind: 'pattern', pattern: reverse(reversed) }, name));
  const allow = [
    ...(entry?.ruleIds ?? []),
    ...hits.filter(({ effect }) => effect === 'allow').map(({ ruleId }) => ruleId),
  ];
  const isDenied = (entry?.denyRuleId ?? 0) !== 0 || hits.some(({ effect }) => effect === 'deny');
  return { allow: allow.sort((a, b) => a - b), isDenied };
}

function expected(rules: readonly NumberedRule[], name: string): { allow: number[]; isDenied: boolean } {
  const hits = rules.filter(({ rule: { who } }) => holdsName(who, name));
  return {
    allow: hits.filter(({ rule }) => rule.action === 'allow').map(({ id }) => id),
    isDenied: hits.some(({ rule }) => rule.action === 'deny'),
  };
}

describe('compileNames', () => {
  test('gives a longer entry what shorter ones have', () => {
    const { entries, patterns } = compileNames(
      rulesOf('.a.test', '=www.a.test', 'test', '*.test', '!**.b.test'),
    );
    const plain = entries.map(({ reversed, ruleIds, patternIndexes, denyRuleId, ancestor }) => [
      reversed,
      ruleIds,
      patternIndexes,
      denyRuleId,
      ancestor,
    ]);
    assert.deepEqual(plain, [
      ['\0', [], [], 0, true],
      ['tset', [3], [], 0, false],
      ['tset\0', [3], [], 0, true],
      ['tset.', [3], [0], 0, false],
      ['tset.a\0', [3], [0], 0, true],
      ['tset.a.', [1, 3], [0], 0, false],
      ['tset.a.www\0', [1, 2, 3], [0], 0, false],
      ['tset.b.', [3], [0], 5, false],
    ]);
    assert.deepEqual(patterns, [{ ruleId: 4, effect: 'allow', deep: false, reversed: 'tset.*' }]);
  });

  const entryKeys: readonly (readonly [rule: string, key: string])[] = [
    ['.a.test', 'tset.a.'],
    ['ome.com', 'moc.emo'],
    ['=a.test', 'tset.a\0'],
    ['*.a.test', 'tset.a.'],
    ['api*.a.test', 'tset.a.'],
    ['*x.a.test', 'tset.a.x'],
    ['www.*.test', 'tset.'],
    ['www.*', ''],
    ['*', ''],
  ];
  for (const [rule, key] of entryKeys) {
    test(`puts ${rule} at ${JSON.stringify(key)}`, () => {
      const entry = compileNames(rulesOf(rule)).entries.find(({ reversed }) => reversed === key);
      assert.equal((entry?.ruleIds.length ?? 0) + (entry?.patternIndexes.length ?? 0), 1);
    });
  }

  const ancestors: readonly (readonly [rule: string, names: readonly string[]])[] = [
    ['=www.a.test', ['a.test', 'test', '']],
    ['.a.test', ['a.test', 'test', '']],
    ['www.a.test', ['a.test', 'test', '']],
    ['ome.com', ['com', '']],
    ['com', ['']],
    ['*.a.test', ['a.test', 'test', '']],
    ['www.*.a.test', ['a.test', 'test', '']],
    ['*', ['']],
    ['!**.a.test', []],
    ['!a.test', []],
  ];
  for (const [rule, names] of ancestors) {
    test(`marks above ${rule}: ${JSON.stringify(names)}`, () => {
      const marked = compileNames(rulesOf(rule))
        .entries.filter(({ ancestor }) => ancestor)
        .map(({ reversed }) => reverse(reversed.slice(0, -1)));
      assert.deepEqual(marked.sort(), [...names].sort());
    });
  }

  test('an ancestor that is listed itself is both', () => {
    const table = compileNames(rulesOf('=www.a.test', '=a.test', '!test', '*.test'));
    const entry = lookUp(table, 'a.test');
    assert.deepEqual(entry, {
      reversed: 'tset.a\0',
      ruleIds: [2],
      patternIndexes: [0],
      denyRuleId: 0,
      ancestor: true,
      exact: true,
      lookup: false,
    });
    assert.equal(lookUp(table, 'test')?.denyRuleId, 3);
  });

  test('what may be looked up is no rule of a name, and longer names have it', () => {
    const rules = [
      { who: parseSuffix('.a.test'), action: 'lookup', ports: [], source: '' },
      { who: parsePattern('www.a.test'), action: 'allow', ports: [], source: '' },
      { who: parsePattern('x*.b.test'), action: 'lookup', ports: [], source: '' },
    ] as const;
    const table = compileNames(rules.map((rule, index) => ({ id: index + 1, rule })));
    const found = ['x.a.test', 'www.a.test', 'a.test', 'b.test'].map((name) => {
      const entry = lookUp(table, name);
      return [name, entry?.lookup, entry?.ruleIds, entry?.ancestor];
    });
    assert.deepEqual(found, [
      ['x.a.test', true, [], false],
      ['www.a.test', true, [2], false],
      ['a.test', false, [], true],
      ['b.test', false, [], true],
    ]);
    assert.deepEqual(table.patterns, [{ ruleId: 3, effect: 'lookup', deep: false, reversed: 'tset.b.*x' }]);
  });

  test('does not mark what is beside', () => {
    const table = compileNames(rulesOf('=www.a.test'));
    for (const name of ['b.test', 'x.www.a.test', 'www.a.test', 'com']) {
      assert.equal(lookUp(table, name)?.ancestor ?? false, false);
    }
  });

  test('takes a deny rule from the entry around', () => {
    const table = compileNames(rulesOf('!**.a.test', '=www.a.test', '!www.a.test'));
    assert.equal(lookUp(table, 'x.a.test')?.denyRuleId, 1);
    assert.equal(lookUp(table, 'www.a.test')?.denyRuleId, 3);
    assert.equal(lookUp(table, 'a.test')?.denyRuleId, 0);
  });

  test('passes prefix rules over, and is empty without names', () => {
    assert.deepEqual(compileNames([]), { entries: [], patterns: [] });
  });

  test('takes 8 rules for one name and no more', () => {
    const nested = Array.from({ length: 9 }, (_, index) => 'abcdefghi'.slice(8 - index));
    assert.equal(lookUp(compileNames(rulesOf(...nested.slice(0, 8))), 'abcdefghi')?.ruleIds.length, 8);
    assert.throws(
      () => compileNames(rulesOf(...nested)),
      (error) =>
        error instanceof UsageError &&
        error.message.includes('"abcdefghi"') &&
        nested.every((source) => error.message.includes(`"${source}"`)) &&
        error.message.includes('at most 8'),
    );
  });

  test('takes 8 patterns for one name and no more', () => {
    const stars = Array.from('abcdefghi', (letter) => `${letter}*.test`);
    assert.equal(lookUp(compileNames(rulesOf(...stars.slice(0, 8))), 'x.test')?.patternIndexes.length, 8);
    assert.throws(
      () => compileNames(rulesOf(...stars)),
      (error) =>
        error instanceof UsageError &&
        error.message.includes('".test"') &&
        /"i\*\.test"/u.test(error.message),
    );
  });

  for (let seed = 1; seed <= 40; seed += 1) {
    test(`finds what matchesName finds, seed ${seed}`, () => {
      const rng = makeRng(seed);
      const rules = rulesOf(...new Set(Array.from({ length: 5 }, () => randomRule(rng))));
      const table = compileNames(rules);
      for (let round = 0; round < 400; round += 1) {
        const name = randomName(rng);
        assert.deepEqual(
          held(table, name),
          expected(rules, name),
          `${name} by ${rules.map(({ rule }) => rule.source)}`,
        );
      }
    });
  }

  test('compiles 20,000 names, each found by its own rule', () => {
    const texts = Array.from(
      { length: 20_000 },
      (_, index) => `${index % 2 ? '.' : '='}h${index}.d${index % 97}.test`,
    );
    const table = compileNames(rulesOf(...texts));
    const byKey = new Map(table.entries.map((entry) => [entry.reversed, entry]));
    assert.deepEqual(byKey.get(reverse('.h19999.d17.test'))?.ruleIds, [20_000]);
    assert.equal(table.entries.filter(({ ruleIds }) => ruleIds.length === 1).length, 20_000);
  });
});

function randomName(rng: Rng): string {
  return Array.from({ length: 1 + rng.below(3) }, () =>
    'ab'.repeat(2).slice(rng.below(3), 3 + rng.below(2)),
  ).join('.');
}

function randomRule(rng: Rng): string {
  const name = randomName(rng);
  const starred = [...name].map((sign) => (sign !== '.' && rng.oneIn(4) ? '*' : sign)).join('');
  const single = starred.replace(/\*+/gu, '*');
  const lead = rng.pick(['', '.', '=', '!', '!**.']);
  if (lead === '=' || lead === '!') return lead + single;
  return single.includes('*') && lead === '' ? single : lead + name;
}
