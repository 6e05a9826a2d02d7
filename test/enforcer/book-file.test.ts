import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { addressKey, NameBook } from '../../src/enforcer/book.ts';
import { BookFile, readBook } from '../../src/enforcer/book-file.ts';
import { until } from '../lab/wait.ts';

const LIMIT_MS = 10_000;
const KEPT = 16_384;

function addressOf(number: number): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt32BE(number, 12);
  return address;
}

/** A place for a book's file that goes with the test. */
function placeFor(context: { after(act: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'l7egg-book-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'names');
}

const silent = (text: string): void => assert.fail(text);

function fill(book: NameBook, count: number): void {
  for (let i = 0; i < count; i++) book.enter(`name-${i}.example`, addressOf(i), 7);
}

function restored(path: string, live: ReadonlySet<string>): NameBook {
  const book = new NameBook();
  new BookFile(path, book, silent).restore(() => live);
  return book;
}

describe('the file of a book', () => {
  test('gives the next process names, rules and their order, of live addresses only', (context) => {
    const path = placeFor(context);
    const book = new NameBook();
    book.enter('old.example', addressOf(1), 4);
    book.enter('seen.example', addressOf(1));
    book.enter('new.example', addressOf(1), 5);
    book.enter('new.example', addressOf(1), 6);
    book.enter('ended.example', addressOf(2), 4);
    book.enter('only-seen.example', addressOf(3));
    new BookFile(path, book, silent).saveNow();
    assert.equal(readBook(path).length, 2, 'no lease hangs on the third');
    const next = restored(path, new Set([1, 3].map((each) => addressKey(addressOf(each)))));
    assert.deepEqual(next.taughtBy(addressOf(1)), book.taughtBy(addressOf(1)));
    assert.deepEqual(next.taughtBy(addressOf(1)), [
      { name: 'new.example', ruleId: 6 },
      { name: 'new.example', ruleId: 5 },
      { name: 'seen.example', ruleId: 0 },
      { name: 'old.example', ruleId: 4 },
    ]);
    assert.equal(next.size, 1);
  });

  test('holds the latest of more addresses than it keeps', (context) => {
    const path = placeFor(context);
    const book = new NameBook();
    fill(book, KEPT + 100);
    new BookFile(path, book, silent).saveNow();
    const kept = readBook(path);
    assert.equal(kept.length, KEPT);
    assert.deepEqual(kept[0]?.taught, [{ name: `name-${KEPT + 99}.example`, ruleId: 7 }]);
  });

  test('is bounded where names are long', (context) => {
    const path = placeFor(context);
    const book = new NameBook();
    for (let i = 0; i < KEPT; i++)
      for (let j = 0; j < 8; j++) book.enter(`${j}${'x'.repeat(250)}`, addressOf(i), 7);
    new BookFile(path, book, silent).saveNow();
    assert.ok(readFileSync(path).length < 5 << 20);
    assert.ok(readBook(path).length > 1_000);
  });

  test('is written soon after a change, without holding up the loop', async (context) => {
    const path = placeFor(context);
    const book = new NameBook();
    using file = new BookFile(path, book, silent);
    fill(book, KEPT);
    file.touch();
    let longest = 0;
    let last = performance.now();
    let isOver = false;
    const look = (): void => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
      if (!isOver) setImmediate(look);
    };
    setImmediate(look);
    await until(() => existsSync(path), { limitMs: LIMIT_MS, what: path });
    isOver = true;
    context.diagnostic(`${KEPT} addresses: the loop was held up for ${longest.toFixed(1)} ms at most`);
    assert.ok(longest < 100, `${longest} ms`);
    assert.equal(readBook(path).length, KEPT);
  });

  test('is not written again where nothing is new', async (context) => {
    const path = placeFor(context);
    const book = new NameBook();
    const file = new BookFile(path, book, silent);
    fill(book, 10);
    file.saveNow();
    const again = new NameBook();
    const next = new BookFile(path, again, silent);
    next.restore(() => new Set(book.addresses()));
    fill(again, 10);
    rmSync(path);
    next.saveNow();
    assert.equal(existsSync(path), false);
  });

  for (const [what, text] of [
    ['nothing', ''],
    ['no JSON', 'name\u0000\n['],
    ['other JSON', '{}\n[]\n[1,2]\n["00",[]]\n["00000000000000000000ffffc6336401","x"]\nnull\n'],
    ['names that are none', '["00000000000000000000ffffc6336401",[["a"],[1,2],7,null]]\n'],
  ] as const) {
    test(`with ${what} is taken for none`, (context) => {
      const path = placeFor(context);
      writeFileSync(path, text);
      assert.deepEqual(restored(path, new Set()).addresses(), []);
      const all = new Set([addressKey(Buffer.from('00000000000000000000ffffc6336401', 'hex'))]);
      assert.deepEqual(restored(path, all).addresses(), []);
    });
  }

  test('that can not be written is complained of once', () => {
    const said: string[] = [];
    const book = new NameBook();
    const file = new BookFile('/proc/no-such-place/names', book, (text) => said.push(text));
    fill(book, 1);
    file.saveNow();
    assert.equal(said.length, 1);
    assert.match(said.join(), /^names of leased addresses are not kept for a restart: ENOENT/u);
  });
});

test('a name that taught for rules of several subjects is known for each', () => {
  const book = new NameBook();
  book.enter('a.example', addressOf(1), 4);
  book.enter('a.example', addressOf(1), 9);
  book.enter('a.example', addressOf(1));
  assert.deepEqual(
    book.taughtBy(addressOf(1)).map(({ ruleId }) => ruleId),
    [9, 4],
  );
  assert.deepEqual(book.namesOf(addressOf(1)), ['a.example']);
});
