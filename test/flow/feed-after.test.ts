import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Event } from '../../src/flow/event.ts';
import { EventFeed } from '../../src/flow/feed.ts';
import { FLOW } from './events.ts';

function publish(feed: EventFeed, from: number, to: number): void {
  for (let seq = from; seq <= to; seq += 1) feed.publish({ ...FLOW, seq });
}

describe('EventFeed.after', () => {
  const seqs = (events: readonly Event[]) => events.map(({ seq }) => seq);
  const feed = new EventFeed(5);
  test('has nothing before the first event', () => assert.deepEqual(feed.after(0, 9), []));
  test('has what is kept above a seq, oldest first', () => {
    publish(feed, 1, 3);
    assert.deepEqual(seqs(feed.after(0, 9)), [1, 2, 3]);
    assert.deepEqual(seqs(feed.after(2, 9)), [3]);
    assert.deepEqual(seqs(feed.after(3, 9)), []);
  });
  test('has it also where older ones fell out, and no more than is asked for', () => {
    publish(feed, 4, 8);
    assert.deepEqual(seqs(feed.after(0, 9)), [4, 5, 6, 7, 8]);
    assert.deepEqual(seqs(feed.after(5, 2)), [6, 7]);
  });
});
