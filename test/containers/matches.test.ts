import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Container } from '../../src/containers/container.ts';
import { findContainers, matchesContainer } from '../../src/containers/matches.ts';
import { UsageError } from '../../src/errors.ts';
import type { ContainerSubject } from '../../src/policy/subject.ts';

const ID = '4f0e3b9c'.repeat(8);

function container(given: Partial<Container> = {}): Container {
  return { runtime: 'docker', id: ID, names: ['web'], labels: new Map([['app', 'shop']]), pid: 1, ...given };
}

const named = (name: string): ContainerSubject => ({ kind: 'container', name });
const labelled = (key: string, value: string): ContainerSubject => ({ kind: 'label', key, value });

describe('matchesContainer', () => {
  const rows: readonly (readonly [
    what: string,
    subject: ContainerSubject,
    of: Container,
    matches: boolean,
  ])[] = [
    ['its name', named('web'), container(), true],
    ['one of its names', named('db'), container({ names: ['web', 'db'] }), true],
    ['the beginning of its name', named('we'), container(), false],
    ['another name', named('Web'), container(), false],
    ['its id', named(ID), container(), true],
    ['the first 4 digits of its id', named('4f0e'), container(), true],
    ['the first 3 digits of its id', named('4f0'), container(), false],
    ['4 digits from its middle', named('3b9c'), container(), false],
    ['more than its id', named(`${ID}0`), container(), false],
    ['an id that is a word', named('cafe'), container({ id: 'cafe' }), true],
    ['the beginning of an id that is a word', named('cafe'), container({ id: 'cafeteria' }), false],
    ['a label', labelled('app', 'shop'), container(), true],
    ['another value', labelled('app', 'shopping'), container(), false],
    ['a label that it has not', labelled('tier', 'shop'), container(), false],
    ['an empty value where it has none', labelled('tier', ''), container(), false],
    ['an empty value', labelled('tier', ''), container({ labels: new Map([['tier', '']]) }), true],
  ];
  for (const [what, subject, of, matches] of rows) {
    test(`${what}: ${matches}`, () => assert.equal(matchesContainer(subject, of), matches));
  }
});

describe('findContainers', () => {
  const first = container();
  const second = container({ id: `4f0e${'0'.repeat(60)}`, names: ['db'] });

  test('finds the one whose id begins so', () => {
    assert.deepEqual(findContainers(named('4f0e3'), [first, second]), [first]);
  });

  test('refuses what fits two ids, and quotes them', () => {
    assert.throws(
      () => findContainers(named('4f0e'), [first, second]),
      (thrown) =>
        thrown instanceof UsageError &&
        [`"4f0e"`, first.id, second.id].every((text) => thrown.message.includes(text)),
    );
  });

  test('takes a name before ids that begin so', () => {
    const third = container({ id: 'a'.repeat(64), names: ['4f0e'] });
    assert.deepEqual(findContainers(named('4f0e'), [first, second, third]), [third]);
  });

  test('finds all of a name, or of a label', () => {
    const twin = container({ id: 'b'.repeat(64) });
    assert.deepEqual(findContainers(named('web'), [first, second, twin]), [first, twin]);
    assert.deepEqual(findContainers(labelled('app', 'shop'), [first, second]), [first, second]);
  });

  test('finds none', () => assert.deepEqual(findContainers(named('cache'), [first, second]), []));
});
