import type { Answer } from '../control/server.ts';
import type { EventFeed } from '../flow/feed.ts';
import type { NameBook } from './book.ts';
import { encodeBookLine } from './book-line.ts';
import type { ToldByProcess } from './explained.ts';

/** Addresses in one piece: what the loop has no turn for. */
const IN_A_PIECE = 512;

/** Answers with one line of JSON, a `ToldByProcess`. */
export function tellOfFeed(feed: EventFeed, answer: Answer): void {
  const told: ToldByProcess = {
    events: feed.published,
    readers: feed.readers,
    lostByReaders: feed.lost,
  };
  answer.send(`${JSON.stringify(told)}\n`);
  answer.end();
}

/** Answers with a line as of `encodeBookLine` for each address in the book, the latest first. */
export function tellNames(book: NameBook, answer: Answer): void {
  const keys = book.addresses();
  let isOver = false;
  answer.onceClosed(() => {
    isOver = true;
  });
  const goOn = (): void => {
    if (isOver) return;
    const piece = keys.splice(-IN_A_PIECE).reverse();
    if (piece.length === 0) {
      answer.end();
      return;
    }
    answer.send(piece.map((key) => encodeBookLine(key, book.taughtAt(key))).join(''));
    answer.onceReady(goOn);
  };
  goOn();
}
