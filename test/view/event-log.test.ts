import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Event } from '../../src/flow/event.ts';
import { EventLog } from '../../src/view/event-log.ts';
import { FLOW, LIFECYCLE, LOOKUP } from '../flow/events.ts';

function flows(from: number, to: number): Event[] {
  return Array.from({ length: to - from + 1 }, (_, index) => ({ ...FLOW, seq: from + index }));
}

function seqs(log: EventLog): number[] {
  return log.shown.map(({ event }) => event.seq);
}

describe('EventLog', () => {
  test('keeps the last ones', () => {
    const log = new EventLog(3);
    log.add(flows(1, 2));
    log.add(flows(3, 5));
    assert.deepEqual(seqs(log), [3, 4, 5]);
    log.add(flows(6, 20));
    assert.deepEqual(seqs(log), [18, 19, 20]);
    assert.equal(log.size, 3);
  });

  test('shows what is wanted, of those that were there and of those that come', () => {
    const log = new EventLog(10);
    log.add(flows(1, 4));
    log.filter = ({ seq }) => seq % 2 === 0;
    log.add(flows(5, 8));
    assert.deepEqual(seqs(log), [2, 4, 6, 8]);
    log.filter = () => true;
    assert.deepEqual(seqs(log), [1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('what falls out is not shown any more, though nothing that comes is wanted', () => {
    const log = new EventLog(3);
    log.add(flows(1, 3));
    log.filter = ({ seq }) => seq <= 3;
    log.add(flows(4, 5));
    assert.deepEqual(seqs(log), [3]);
    log.add(flows(6, 7));
    assert.deepEqual(seqs(log), []);
  });

  test('while it is paused what comes waits, bounded, and counts all the same', () => {
    const log = new EventLog(4);
    log.add(flows(1, 2));
    log.pause();
    log.add(flows(3, 9));
    assert.deepEqual(seqs(log), [1, 2]);
    assert.equal(log.waiting, 4);
    assert.equal(log.counts.allow, 9);
    log.resume();
    assert.deepEqual(seqs(log), [6, 7, 8, 9]);
    assert.equal(log.waiting, 0);
  });

  test('counts attempts by verdict, and what was lost on the way and before', () => {
    const log = new EventLog(10);
    log.add(
      [
        { ...FLOW, count: 3 },
        { ...LOOKUP, lost: 2 },
        { ...FLOW, verdict: 'would_deny' },
        LIFECYCLE,
        { ...FLOW, reason: 'ended' },
      ],
      5,
    );
    assert.deepEqual(log.counts, { allow: 3, deny: 1, would_deny: 1, events: 5, lost: 7 });
  });

  test('numbers go on where a new run counts from one again', () => {
    const log = new EventLog(10);
    log.add(flows(1, 3));
    log.add(flows(1, 2));
    assert.deepEqual(
      log.shown.map(({ ordinal }) => ordinal),
      [1, 2, 3, 4, 5],
    );
  });
});
