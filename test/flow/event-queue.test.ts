import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Event } from '../../src/flow/event.ts';
import { EventQueue } from '../../src/flow/event-queue.ts';
import { FLOW } from './events.ts';

const MAX_WAITING = 8_192;
const MORE_WAITING = 2_048;

function events(from: number, count: number): Event[] {
  return Array.from({ length: count }, (_, index) => ({ ...FLOW, seq: from + index }));
}

/** A sink that takes `room` pieces before it is behind, and a loop whose turns are called by hand. */
class Bench {
  readonly pieces: string[] = [];
  room = Number.POSITIVE_INFINITY;
  scheduled = 0;
  #soon: (() => void)[] = [];
  #ready: (() => void) | undefined;

  queue(past: readonly Event[] = []): EventQueue {
    return new EventQueue(
      {
        send: (text) => {
          this.pieces.push(text);
          this.room -= 1;
          return this.room > 0;
        },
        onceReady: (act) => {
          assert.equal(this.#ready, undefined, 'asked twice');
          this.#ready = act;
        },
      },
      ({ seq }) => `${seq}`.padStart(200),
      (act) => {
        this.scheduled += 1;
        this.#soon.push(act);
      },
      past,
    );
  }

  turn(): void {
    for (const act of this.#soon.splice(0)) act();
  }

  get isBehind(): boolean {
    return this.#ready !== undefined;
  }

  /** The reader has caught up. */
  drain(room: number): void {
    this.room = room;
    const ready = this.#ready;
    this.#ready = undefined;
    ready?.();
  }

  get seqs(): number[] {
    const lines = this.pieces.join('').split('\n');
    assert.equal(lines.pop(), '', 'each event is a whole line');
    return lines.map(Number);
  }
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index);

describe('EventQueue', () => {
  test('sends nothing before its turn, then all in one piece', () => {
    const bench = new Bench();
    const queue = bench.queue();
    for (const event of events(1, 10)) assert.equal(queue.take(event), true);
    assert.deepEqual(bench.pieces, []);
    bench.turn();
    assert.equal(bench.pieces.length, 1);
    assert.deepEqual(bench.seqs, range(1, 10));
    assert.equal(bench.scheduled, 1);
    bench.turn();
    assert.equal(bench.pieces.length, 1);
  });

  test('sends the past first, then what came meanwhile', () => {
    const bench = new Bench();
    const queue = bench.queue(events(1, 3));
    queue.take({ ...FLOW, seq: 4 });
    bench.turn();
    assert.deepEqual(bench.seqs, [1, 2, 3, 4]);
  });

  test('sends much in pieces of bounded size', () => {
    const bench = new Bench();
    const queue = bench.queue();
    for (const event of events(1, 4_000)) queue.take(event);
    bench.turn();
    assert.deepEqual(bench.seqs, range(1, 4_000));
    assert.ok(bench.pieces.length >= 12, `${bench.pieces.length} pieces`);
    assert.ok(bench.pieces.every(({ length }) => length < (1 << 16) + 300));
  });

  test('waits for a reader that is behind, and goes on where it was', () => {
    const bench = new Bench();
    bench.room = 1;
    const queue = bench.queue();
    for (const event of events(1, 1_000)) queue.take(event);
    bench.turn();
    assert.equal(bench.pieces.length, 1);
    assert.ok(bench.isBehind);
    queue.take({ ...FLOW, seq: 1_001 });
    bench.turn();
    assert.equal(bench.pieces.length, 1);
    bench.drain(1);
    bench.turn();
    assert.equal(bench.pieces.length, 2);
    bench.drain(100);
    bench.turn();
    assert.deepEqual(bench.seqs, range(1, 1_001));
  });

  test('takes no more than its bound from who does not read, and all again once it reads', () => {
    const bench = new Bench();
    bench.room = 0;
    const queue = bench.queue();
    queue.take({ ...FLOW, seq: 0 });
    bench.turn(); // sent, and now the sink is behind
    const took = events(1, MAX_WAITING + 10).map((event) => queue.take(event));
    assert.equal(took.filter((each) => each).length, MAX_WAITING);
    assert.equal(took.lastIndexOf(true), MAX_WAITING - 1);
    bench.drain(1_000);
    bench.turn();
    assert.deepEqual(bench.seqs, range(0, MAX_WAITING + 1));
    assert.equal(queue.take({ ...FLOW, seq: 9_999 }), true);
  });

  test('has room for what was refused behind what passed, and a bound for that, too', () => {
    const bench = new Bench();
    bench.room = 0;
    const queue = bench.queue();
    queue.take({ ...FLOW, seq: 0 });
    bench.turn();
    for (const event of events(1, MAX_WAITING + 10)) queue.take(event);
    assert.equal(queue.take({ ...FLOW, seq: MAX_WAITING + 11 }), false);
    const refused = events(10_000, MORE_WAITING + 1).map((event) => ({ ...event, verdict: 'deny' as const }));
    assert.equal(refused.map((event) => queue.take(event)).indexOf(false), MORE_WAITING);
    bench.drain(1_000);
    bench.turn();
    assert.deepEqual(bench.seqs, [...range(0, MAX_WAITING + 1), ...range(10_000, MORE_WAITING)]);
  });

  test('is bounded for a reader that is always behind, and never stops', () => {
    const bench = new Bench();
    bench.room = 1;
    const queue = bench.queue();
    let lost = 0;
    let seq = 0;
    for (let round = 0; round < 300; round += 1) {
      for (const event of events(seq, 400)) lost += queue.take(event) ? 0 : 1;
      seq += 400;
      bench.turn();
      bench.drain(1); // one piece of some 330
    }
    const { seqs } = bench;
    assert.ok(lost > 0);
    assert.ok(seqs.length + lost <= seq && seqs.length + lost >= seq - MAX_WAITING);
    assert.deepEqual(
      seqs,
      [...seqs].sort((a, b) => a - b),
    );
  });

  test('has room for the past beside its bound, until that was sent', () => {
    const bench = new Bench();
    const past = 10_000;
    bench.room = 1;
    const queue = bench.queue(events(1, past));
    const took = events(past + 1, MAX_WAITING + 1).map((event) => queue.take(event));
    assert.equal(took.indexOf(false), MAX_WAITING);
    bench.turn();
    bench.drain(10_000);
    bench.turn();
    assert.deepEqual(bench.seqs, range(1, past + MAX_WAITING));
    bench.room = 0;
    queue.take({ ...FLOW, seq: 0 });
    bench.turn();
    const later = events(1, MAX_WAITING + 1).map((event) => queue.take(event));
    assert.equal(later.indexOf(false), MAX_WAITING);
  });

  test('says when it is empty: at once, or behind the last', () => {
    const bench = new Bench();
    bench.room = 1;
    const queue = bench.queue(events(1, 500));
    let isEmpty = false;
    queue.onceEmpty(() => {
      isEmpty = true;
    });
    bench.turn();
    assert.equal(isEmpty, false);
    bench.drain(10);
    bench.turn();
    assert.equal(isEmpty, true);
    assert.equal(bench.seqs.length, 500);
    let isEmptyAgain = false;
    const none = new Bench();
    none.queue().onceEmpty(() => {
      isEmptyAgain = true;
    });
    none.turn();
    assert.equal(isEmptyAgain, true);
  });

  test('finishes at once where its reader keeps up, and says so', () => {
    const bench = new Bench();
    const queue = bench.queue(events(1, 1_000));
    let isDone = false;
    queue.finish(() => {
      isDone = true;
    });
    assert.ok(isDone);
    assert.deepEqual(bench.seqs, range(1, 1_000));
  });

  test('finishes as its reader takes it, and sends no more than that', () => {
    const bench = new Bench();
    bench.room = 1;
    const queue = bench.queue(events(1, 1_000));
    bench.turn();
    let isDone = false;
    queue.finish(() => {
      isDone = true;
    });
    assert.deepEqual([bench.pieces.length, isDone], [1, false]);
    bench.drain(100);
    bench.turn();
    assert.ok(isDone);
    assert.deepEqual(bench.seqs, range(1, 1_000));
  });

  test('flushes all at once at the end, also to who is behind', () => {
    const bench = new Bench();
    bench.room = 1;
    const queue = bench.queue(events(1, 1_000));
    bench.turn();
    queue.flush();
    assert.deepEqual(bench.seqs, range(1, 1_000));
    queue.flush();
    assert.equal(bench.seqs.length, 1_000);
  });
});
