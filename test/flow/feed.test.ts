import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Event } from '../../src/flow/event.ts';
import { EventFeed } from '../../src/flow/feed.ts';
import { FLOW, LIFECYCLE } from './events.ts';

function event(seq: number, lost = 0): Event {
  return { ...FLOW, seq, lost };
}

function published(keep: number, seqs: number): EventFeed {
  const feed = new EventFeed(keep);
  for (let seq = 1; seq <= seqs; seq += 1) feed.publish(event(seq));
  return feed;
}

const seqsOf = (events: readonly Event[]) => events.map(({ seq }) => seq);
const lossesOf = (events: readonly Event[]) => events.map(({ seq, lost }) => [seq, lost]);
const isEven = ({ seq }: Event) => seq % 2 === 0;

/** Takes while `room` says so. */
class Reader {
  readonly took: Event[] = [];
  room = true;
  take(event: Event): boolean {
    if (this.room) this.took.push(event);
    return this.room;
  }
}

describe('EventFeed keeps', () => {
  const rows: readonly (readonly [title: string, keep: number, seqs: number, kept: readonly number[]])[] = [
    ['nothing at first', 3, 0, []],
    ['what there is', 3, 2, [1, 2]],
    ['as many as it may', 3, 3, [1, 2, 3]],
    ['the last ones, in their order', 3, 4, [2, 3, 4]],
    ['the last ones at the turn of the ring', 3, 6, [4, 5, 6]],
    ['the last ones after many turns', 3, 100, [98, 99, 100]],
    ['one', 1, 5, [5]],
    ['none', 0, 5, []],
  ];
  for (const [title, keep, seqs, kept] of rows) {
    test(title, () => assert.deepEqual(seqsOf(published(keep, seqs).past()), kept));
  }

  test('and gives those that are wanted', () => {
    assert.deepEqual(seqsOf(published(5, 8).past(isEven)), [4, 6, 8]);
  });

  test('and tells of what was lost before events that are not wanted', () => {
    const feed = new EventFeed(10);
    for (const each of [event(1, 5), event(2), event(3, 7), event(4, 1), event(5, 9)]) feed.publish(each);
    assert.deepEqual(lossesOf(feed.past()), [
      [1, 5],
      [2, 0],
      [3, 7],
      [4, 1],
      [5, 9],
    ]);
    assert.deepEqual(lossesOf(feed.past(isEven)), [
      [2, 5],
      [4, 8],
    ]);
  });

  test('and a past that was given away does not change', () => {
    const feed = published(3, 3);
    const past = feed.past();
    feed.publish(event(4));
    assert.deepEqual(seqsOf(past), [1, 2, 3]);
  });
});

describe('EventFeed hands', () => {
  test('to each reader what comes, until it is disposed of', () => {
    const feed = published(10, 2);
    const [early, late] = [new Reader(), new Reader()];
    const subscription = feed.subscribe(early);
    assert.equal(feed.readers, 1);
    feed.publish(event(3));
    feed.subscribe(late);
    feed.publish(event(4));
    subscription[Symbol.dispose]();
    subscription[Symbol.dispose]();
    feed.publish(event(5));
    assert.equal(feed.readers, 1);
    assert.deepEqual(seqsOf(early.took), [3, 4]);
    assert.deepEqual(seqsOf(late.took), [4, 5]);
  });

  test('each reader what it wants', () => {
    const feed = new EventFeed(0);
    const [all, some] = [new Reader(), new Reader()];
    feed.subscribe(all);
    feed.subscribe(some, isEven);
    for (let seq = 1; seq <= 4; seq += 1) feed.publish(event(seq));
    assert.deepEqual(seqsOf(all.took), [1, 2, 3, 4]);
    assert.deepEqual(seqsOf(some.took), [2, 4]);
  });

  test('the next event with what a reader did not take, to that reader only', () => {
    const feed = new EventFeed(10);
    const [slow, quick] = [new Reader(), new Reader()];
    feed.subscribe(slow);
    feed.subscribe(quick);
    feed.publish(event(1));
    slow.room = false;
    feed.publish(event(2));
    feed.publish(event(3, 10));
    feed.publish(event(4));
    slow.room = true;
    feed.publish(event(5, 1));
    feed.publish(event(6));
    // 2, 3 and 4, the ten before 3, and the one before 5.
    assert.deepEqual(lossesOf(slow.took), [
      [1, 0],
      [5, 14],
      [6, 0],
    ]);
    assert.deepEqual(lossesOf(quick.took), [
      [1, 0],
      [2, 0],
      [3, 10],
      [4, 0],
      [5, 1],
      [6, 0],
    ]);
    assert.deepEqual(lossesOf(feed.past()), lossesOf(quick.took));
  });

  test('a filtered reader what was lost before events that it does not want', () => {
    const feed = new EventFeed(0);
    const some = new Reader();
    feed.subscribe(some, isEven);
    feed.publish(event(1, 2));
    feed.publish({ ...LIFECYCLE, seq: 3, lost: 4 });
    feed.publish(event(4, 1));
    some.room = false;
    feed.publish(event(6, 1));
    feed.publish(event(7, 1));
    some.room = true;
    feed.publish(event(8));
    assert.deepEqual(lossesOf(some.took), [
      [4, 7],
      [8, 3],
    ]);
  });
});
