import { readFileSync, rename, renameSync, statSync, writeFile, writeFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { NameBook, Taught } from './book.ts';
import { encodeBookLine, parseBookLine } from './book-line.ts';

/** Addresses that are kept; of more the latest. */
const MAX_ADDRESSES = 16_384;
/** Characters of the file. */
const MAX_LENGTH = 4 << 20;
/** Addresses that are written down before the loop turns. */
const IN_A_TURN = 512;
/** Not at every answer, but soon after the first: a process that is killed has had no time to write. */
const SOON_MS = 1_000;
const BETWEEN_MS = 30_000;

/**
 * The file by which the next process knows the names of addresses that are leased still: of this book, written in
 * threads and renamed into place. It explains only; what can't be written is said once.
 */
export class BookFile implements Disposable {
  readonly #path: string;
  readonly #book: NameBook;
  readonly #remark: (text: string) => void;
  #written = 0;
  #writtenMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isComplained = false;

  constructor(path: string, book: NameBook, remark: (text: string) => void) {
    this.#path = path;
    this.#book = book;
    this.#remark = remark;
  }

  /** Something was entered: the book is written soon, where a lease has a name that it had not. */
  touch(): void {
    if (this.#timer || this.#isClosed || this.#book.revision === this.#written) return;
    const waitMs = Math.max(SOON_MS, this.#writtenMs + BETWEEN_MS - performance.now());
    this.#timer = setTimeout(() => void this.#save(), waitMs);
  }

  /** Writes it down and does no more. For the end. */
  saveNow(): void {
    const isSame = this.#book.revision === this.#written && this.#timer === undefined;
    this.close();
    if (isSame) return;
    const text = new BookText(this.#book);
    while (text.add(IN_A_TURN));
    try {
      writeFileSync(`${this.#path}.new`, text.toString(), { mode: 0o600 });
      renameSync(`${this.#path}.new`, this.#path);
    } catch (thrown) {
      this.#complain(thrown);
    }
  }

  /** Enters what an earlier process wrote down, of the addresses that `live` answers; it is asked if there is any. */
  restore(live: () => ReadonlySet<string>): void {
    const lines = readBook(this.#path);
    if (lines.length === 0) return;
    const addresses = live();
    for (const { key, taught } of lines.reverse()) {
      if (!addresses.has(key)) continue;
      const addr16 = Buffer.from(key, 'latin1');
      for (const { name, ruleId } of taught.reverse()) this.#book.enter(name, addr16, ruleId);
    }
    this.#written = this.#book.revision;
  }

  /** Writes no more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #save(): Promise<void> {
    const { revision } = this.#book;
    const text = new BookText(this.#book);
    while (!this.#isClosed && text.add(IN_A_TURN)) await nextTurn();
    if (this.#isClosed) return;
    const done = (failure: Error | null) => {
      this.#timer = undefined;
      if (this.#isClosed) return;
      if (failure) this.#complain(failure);
      this.#written = revision;
      this.#writtenMs = performance.now();
      this.touch();
    };
    writeFile(`${this.#path}.next`, text.toString(), { mode: 0o600 }, (failure) => {
      if (failure || this.#isClosed) done(failure);
      else rename(`${this.#path}.next`, this.#path, done);
    });
  }

  #complain(thrown: unknown): void {
    if (this.#isComplained) return;
    this.#isComplained = true;
    this.#remark(
      `names of leased addresses are not kept for a restart: ${thrown instanceof Error ? thrown.message : thrown}`,
    );
  }
}

/** What a file of a book holds, the latest address first; empty where there is none that can be read. */
export function readBook(path: string): { readonly key: string; readonly taught: Taught[] }[] {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0 || size > 2 * MAX_LENGTH) return [];
  try {
    const lines = readFileSync(path, 'utf8').split('\n', MAX_ADDRESSES);
    return lines.flatMap((line) => parseBookLine(line) ?? []);
  } catch {
    return []; // gone just now: it only explains
  }
}

/** A book as text, made piece by piece, the latest addresses first. */
class BookText {
  readonly #book: NameBook;
  readonly #keys: string[];
  readonly #lines: string[] = [];
  #length = 0;

  constructor(book: NameBook) {
    this.#book = book;
    this.#keys = book.addresses();
  }

  /** Goes on with so many addresses; answers whether there are more. */
  add(count: number): boolean {
    for (let i = 0; i < count; i++) {
      const key = this.#keys.pop();
      if (key === undefined || this.#lines.length >= MAX_ADDRESSES || this.#length >= MAX_LENGTH)
        return false;
      const taught = this.#book.taughtAt(key);
      if (taught.every(({ ruleId }) => ruleId === 0)) continue; // no lease hangs on it
      const line = encodeBookLine(key, taught);
      this.#length += line.length;
      this.#lines.push(line);
    }
    return true;
  }

  toString(): string {
    return this.#lines.join('');
  }
}
