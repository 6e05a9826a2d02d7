import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HitBook } from '../../src/enforcer/rule-hits.ts';

/** Rules 1 to 9 are of the rule `a`, 10 to 19 of `b` and so on; 99 is unknown. */
function open(limit: number): HitBook {
  return new HitBook(limit, (id) =>
    id === 99 ? undefined : { rule: String.fromCharCode(97 + Math.floor(id / 10)), subject: 'host' },
  );
}

function settle(book: HitBook): string[] {
  return book
    .settle()
    .map(({ rule, subject, allowed, refused, learned, evicted }) =>
      [rule, subject, allowed, refused, learned, evicted].join(' '),
    );
}

describe('HitBook', () => {
  test('adds up rules that their owner calls the same', () => {
    const book = open(10);
    book.enter(1, 1, 2, 3, 4);
    book.enter(2, 10, 20, 30, 40);
    book.enter(10, 5, 0, 0, 0);
    book.enter(99, 7, 7, 7, 7);
    assert.deepEqual(settle(book), ['a host 11 22 33 44', 'b host 5 0 0 0']);
  });

  test('follows what the kernel counts', () => {
    const book = open(10);
    book.enter(1, 1, 0, 0, 0);
    settle(book);
    book.enter(1, 5, 0, 1, 0);
    assert.deepEqual(settle(book), ['a host 5 0 1 0']);
    book.enter(1, 5, 0, 1, 0);
    assert.deepEqual(settle(book), ['a host 5 0 1 0']);
  });

  test('does not go down when one of several is withdrawn', () => {
    const book = open(10);
    book.enter(1, 100, 0, 0, 0);
    book.enter(2, 1, 0, 0, 0);
    settle(book);
    book.enter(2, 3, 0, 0, 0);
    assert.deepEqual(settle(book), ['a host 103 0 0 0']);
    book.enter(2, 3, 0, 0, 0);
    book.enter(3, 4, 0, 0, 0);
    assert.deepEqual(settle(book), ['a host 107 0 0 0']);
  });

  test('forgets a rule that is gone, and begins anew when its number counts from 0', () => {
    const book = open(10);
    book.enter(1, 100, 0, 0, 0);
    settle(book);
    assert.deepEqual(settle(book), []);
    book.enter(1, 2, 0, 0, 0);
    assert.deepEqual(settle(book), ['a host 2 0 0 0']);
  });

  test('sums what finds no room, and gives the room of what is gone to another', () => {
    const book = open(1);
    book.enter(1, 1, 0, 0, 0);
    book.enter(10, 2, 3, 4, 5);
    assert.deepEqual(settle(book), ['a host 1 0 0 0']);
    assert.equal(book.others, 14);
    book.enter(10, 3, 3, 4, 5);
    assert.deepEqual(settle(book), []);
    assert.equal(book.others, 15);
    book.enter(20, 6, 0, 0, 0);
    book.enter(10, 3, 3, 4, 5);
    assert.deepEqual(settle(book), ['c host 6 0 0 0']);
    assert.equal(book.others, 15);
  });

  test('holds a hundred thousand rules', () => {
    const book = new HitBook(2, (id) => ({ rule: id % 2 === 0 ? 'even' : 'odd', subject: 'host' }));
    for (const hits of [1, 2]) {
      for (let id = 1; id <= 131_072; id++) book.enter(id, hits, 0, 0, 0);
      assert.deepEqual(settle(book).sort(), [
        `even host ${65_536 * hits} 0 0 0`,
        `odd host ${65_536 * hits} 0 0 0`,
      ]);
    }
  });
});
