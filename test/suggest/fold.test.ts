import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePort, portText } from '../../src/policy/port.ts';
import { parseCanonicalRule } from '../../src/policy/rule.ts';
import { foldSiblings } from '../../src/suggest/fold.ts';
import type { Entry } from '../../src/suggest/suggestion.ts';

const PUBLIC = ['co.uk', 'github.io'];

function named(text: string): Entry {
  const [name = '', port = '443/tcp'] = text.split(' ');
  return { wanted: { kind: 'name', name }, ports: parsePort(port), addresses: [], hasMore: false };
}

function titles(entries: readonly Entry[]): string[] {
  return entries.map(({ wanted, ports }) => {
    const title =
      wanted.kind === 'name' ? wanted.name : wanted.kind === 'suffix' ? `*${wanted.suffix}` : wanted.address;
    return `${title} ${ports.map(portText).join()}`;
  });
}

function fold(names: readonly string[], denials: readonly string[] = []) {
  return foldSiblings(
    names.map(named),
    denials.map((rule) => parseCanonicalRule(rule, rule)),
    (name) => PUBLIC.includes(name),
  );
}

describe('foldSiblings', () => {
  const rows: readonly (readonly [string, readonly string[], readonly string[], (readonly string[])?])[] = [
    [
      'three siblings',
      ['a.cdn.test', 'b.cdn.test', 'c.cdn.test', 'other.test'],
      ['*.cdn.test 443/tcp', 'other.test 443/tcp'],
    ],
    ['not two', ['a.cdn.test', 'b.cdn.test'], ['a.cdn.test 443/tcp', 'b.cdn.test 443/tcp']],
    [
      'not below one label',
      ['a.test', 'b.test', 'c.test'],
      ['a.test 443/tcp', 'b.test 443/tcp', 'c.test 443/tcp'],
    ],
    [
      'not below a public suffix',
      ['a.co.uk', 'b.co.uk', 'c.co.uk'],
      ['a.co.uk 443/tcp', 'b.co.uk 443/tcp', 'c.co.uk 443/tcp'],
    ],
    [
      'not users of a host',
      ['a.github.io', 'b.github.io', 'c.github.io'],
      ['a.github.io 443/tcp', 'b.github.io 443/tcp', 'c.github.io 443/tcp'],
    ],
    [
      'only those with the same ports',
      ['a.cdn.test', 'b.cdn.test', 'c.cdn.test', 'd.cdn.test 22/tcp'],
      ['*.cdn.test 443/tcp', 'd.cdn.test 22/tcp'],
    ],
    [
      'one set of ports for one parent',
      [
        'a.cdn.test',
        'b.cdn.test',
        'c.cdn.test',
        ...['d', 'e', 'f', 'g'].map((label) => `${label}.cdn.test 22/tcp`),
      ],
      ['a.cdn.test 443/tcp', 'b.cdn.test 443/tcp', 'c.cdn.test 443/tcp', '*.cdn.test 22/tcp'],
    ],
    [
      'none below a parent that is folded',
      ['a.cdn.test', 'b.cdn.test', 'c.cdn.test', 'a.x.cdn.test', 'b.x.cdn.test', 'c.x.cdn.test'],
      ['*.cdn.test 443/tcp', 'a.x.cdn.test 443/tcp', 'b.x.cdn.test 443/tcp', 'c.x.cdn.test 443/tcp'],
    ],
    ...[
      'deny exact bad.cdn.test any',
      'deny pattern a*.other.test any',
      'deny suffix .cdn.test any',
      'deny suffix .test any',
      'deny suffix .x.cdn.test any',
    ].map((denial): [string, string[], string[], string[]] => [
      `not where a rule may deny names below it: ${denial}`,
      ['a.cdn.test', 'b.cdn.test', 'c.cdn.test'],
      ['a.cdn.test 443/tcp', 'b.cdn.test 443/tcp', 'c.cdn.test 443/tcp'],
      [denial],
    ]),
  ];
  for (const [what, names, expected, denials] of rows)
    test(what, () => assert.deepEqual(titles(fold(names, denials).entries), expected));
  test('says what it folded', () => {
    assert.deepEqual(fold(['a.cdn.test', 'b.cdn.test', 'c.cdn.test']).remarks, [
      'every name under cdn.test stands for 3 that were seen: a.cdn.test, b.cdn.test, c.cdn.test',
    ]);
  });
});
