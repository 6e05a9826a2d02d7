import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BoundedCounts } from '../../src/metrics/bounded-counts.ts';

function valuesOf(counts: BoundedCounts): [string, number][] {
  return [...counts.samples()].map(({ labels, value }) => [Object.values(labels).join(' '), value]);
}

describe('BoundedCounts', () => {
  test('adds by labels', () => {
    const counts = new BoundedCounts(['a', 'b'], 10);
    counts.add(['x', 'y'], 1);
    counts.add(['x', 'z'], 2);
    counts.add(['x', 'y'], 40);
    assert.deepEqual(
      [...counts.samples()].map(({ labels, value }) => ({ ...labels, value })),
      [
        { a: 'x', b: 'y', value: 41 },
        { a: 'x', b: 'z', value: 2 },
      ],
    );
    assert.equal(counts.others, 0);
  });

  test('sums in one series what finds no room, and loses nothing', () => {
    const counts = new BoundedCounts(['name'], 3);
    for (let name = 0; name < 1_000; name++) counts.add([`n${name}`], 2);
    assert.deepEqual(valuesOf(counts), [
      ['n0', 2],
      ['n1', 2],
      ['n2', 2],
      ['other', 1_994],
    ]);
    assert.equal(counts.others, 1_994);
  });

  test('gives no series away that it has: none goes down', () => {
    const counts = new BoundedCounts(['name'], 1);
    counts.add(['first'], 1);
    counts.add(['second'], 1);
    counts.add(['first'], 1);
    assert.deepEqual(valuesOf(counts), [
      ['first', 2],
      ['other', 1],
    ]);
  });

  test('tells texts apart that read the same when put together', () => {
    const counts = new BoundedCounts(['a', 'b'], 10);
    counts.add(['x', 'y z'], 1);
    counts.add(['x y', 'z'], 1);
    assert.equal([...counts.samples()].length, 2);
  });

  test('escapes what could move a terminal', () => {
    const counts = new BoundedCounts(['name'], 10);
    counts.add(['a\x1b[31m\n"\\'], 1);
    assert.deepEqual(valuesOf(counts), [['a\\x1b[31m\\x0a"\\', 1]]);
  });
});
