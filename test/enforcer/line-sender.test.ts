import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Answer } from '../../src/control/answer.ts';
import { LineSender } from '../../src/enforcer/line-sender.ts';
import { until } from '../lab/wait.ts';

const SOON = { limitMs: 10_000, what: 'a state of the sender' };
const PIECE = 1 << 16;
const LINE = { text: 'x'.repeat(1_000) };

/** A reader that takes one piece each time it is told to. */
class Reader implements Answer {
  readonly pieces: string[] = [];
  readonly #isFast: boolean;
  #onReady: (() => void) | undefined;
  #onClosed: (() => void) | undefined;

  constructor(isFast: boolean) {
    this.#isFast = isFast;
  }

  send(text: string): boolean {
    if (text !== '') this.pieces.push(text);
    return this.#isFast;
  }
  onceReady(act: () => void): void {
    this.#onReady = act;
  }
  end(): void {}
  onceEnding(): void {}
  onceClosed(act: () => void): void {
    this.#onClosed = act;
  }

  get isAwaited(): boolean {
    return this.#onReady !== undefined;
  }
  take(): void {
    const act = this.#onReady;
    this.#onReady = undefined;
    act?.();
  }
  close(): void {
    this.#onClosed?.();
  }
}

/** Lines, and how many of them were asked for. */
class Source {
  made = 0;
  *lines(count: number): Generator<object | undefined> {
    for (let index = 0; index < count; index += 1) {
      this.made += 1;
      yield index % 2 === 0 ? LINE : undefined;
    }
  }
}

describe('LineSender', () => {
  test('makes no more than a piece before its reader takes it, then all', async () => {
    const [reader, source] = [new Reader(false), new Source()];
    const sender = new LineSender(reader, 60_000);
    let isAll: boolean | undefined;
    void sender.sendAll(source.lines(1_000)).then((sent) => {
      isAll = sent;
    });
    for (let pieces = 1; pieces < 100; pieces += 1) {
      await until(() => reader.isAwaited || isAll !== undefined, SOON);
      if (isAll !== undefined) break;
      assert.equal(reader.pieces.length, pieces);
      reader.take();
    }
    assert.equal(isAll, true);
    assert.ok(reader.pieces.length > 2 && reader.pieces.every(({ length }) => length < PIECE + 2_000));
    assert.equal(reader.pieces.join('').split('\n').length - 1, 500);
  });
  test('ends where the connection is closed, and where its reader stops', async () => {
    for (const [limitMs, isClosing] of [
      [60_000, true],
      [20, false],
    ] as const) {
      const [reader, source] = [new Reader(false), new Source()];
      const done = new LineSender(reader, limitMs).sendAll(source.lines(100_000));
      await until(() => reader.isAwaited, SOON);
      if (isClosing) reader.close();
      assert.equal(await done, false);
      assert.ok(source.made < 1_000, `${source.made} lines were made`);
    }
  });
  test('gives others turns while it makes lines', async () => {
    const [reader, source] = [new Reader(true), new Source()];
    let [turns, isOver] = [0, false];
    const turn = () => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    const began = performance.now();
    assert.equal(await new LineSender(reader, 60_000).sendAll(source.lines(200_000)), true);
    const tookMs = performance.now() - began;
    isOver = true;
    assert.ok(tookMs > 20 && turns > 2, `${turns} turns in ${tookMs} ms`);
  });
});
