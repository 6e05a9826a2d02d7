import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FlowEvent } from '../../src/flow/event.ts';
import { parseKeys } from '../../src/watch/keys.ts';
import { WatchModel } from '../../src/watch/model.ts';
import { FLOW, LIFECYCLE, LOOKUP, TIME_MS } from '../flow/events.ts';

const DENY: FlowEvent = { ...FLOW, verdict: 'deny', reason: 'port', names: ['www.bad.example'] };

function modelWith(...events: Parameters<WatchModel['take']>[0][]): WatchModel {
  const model = new WatchModel('web');
  for (const event of events) model.take(event);
  return model;
}

function press(model: WatchModel, keys: string): void {
  for (const key of parseKeys(keys)) model.press(key);
}

function names(model: WatchModel): string[] {
  return model.rows(100).rows.map(({ name }) => name);
}

function deniedTo(number: number): FlowEvent {
  return { ...DENY, names: [`n${String(number).padStart(4, '0')}.example`], timeMs: TIME_MS + number };
}

describe('targets', () => {
  test('sum up what goes to one place for one reason, with what an event stands for', () => {
    const model = modelWith(FLOW, { ...FLOW, count: 4, timeMs: TIME_MS + 5 }, DENY);
    const { rows } = model.rows(10);
    assert.deepEqual(
      rows.map(({ verdict, name, count, lastMs }) => [verdict, name, count, lastMs]),
      [
        ['allow', 'www.example.com', 5, TIME_MS + 5],
        ['deny', 'www.bad.example', 1, TIME_MS],
      ],
    );
    assert.deepEqual(
      rows.map(({ process, place, why }) => [process, place, why]),
      [
        ['curl', '198.51.100.7:443/tcp', '.example.com'],
        ['curl', '198.51.100.7:443/tcp', 'port .example.com'],
      ],
    );
  });

  test('are of packets and refused lookups, not of answers or ends of flows', () => {
    const model = modelWith(
      LOOKUP,
      { ...LOOKUP, verdict: 'allow', reason: 'learned', qname: 'learned.example' },
      { ...FLOW, reason: 'ended', traffic: { bytes: 1, packets: 1 } },
      LIFECYCLE,
    );
    assert.deepEqual(names(model), ['evil.test']);
    assert.equal(model.tail(10).length, 4, 'all of them are events');
  });

  test('past two thousand those of the longest ago go', () => {
    const model = modelWith(...Array.from({ length: 2_100 }, (_, i) => deniedTo(i)));
    const { rows, all } = model.rows(3_000);
    assert.equal(all, 2_000);
    assert.equal(rows[0]?.name, 'n2099.example');
    assert.ok(!rows.some(({ name }) => name === 'n0099.example'));
  });
});

describe('keys', () => {
  test('s orders by count, last, name and count again', () => {
    const model = modelWith(
      { ...FLOW, count: 3, names: ['c.example'] },
      { ...FLOW, count: 2, names: ['a.example'], timeMs: TIME_MS + 9 },
      { ...FLOW, count: 1, names: ['b.example'], timeMs: TIME_MS + 5 },
    );
    const seen = [names(model)];
    for (const _ of [1, 2, 3]) {
      press(model, 's');
      seen.push(names(model));
    }
    const byCount = ['c.example', 'a.example', 'b.example'];
    const byLast = ['a.example', 'b.example', 'c.example'];
    assert.deepEqual(seen, [byCount, byLast, [...byLast].sort(), byCount]);
  });

  test('d shows what is or would be denied, a all again', () => {
    const model = modelWith(FLOW, DENY, { ...FLOW, verdict: 'would_deny', names: ['x.example'] }, LIFECYCLE);
    press(model, 'd');
    assert.deepEqual(names(model).sort(), ['www.bad.example', 'x.example']);
    assert.equal(model.tail(10).length, 2);
    press(model, 'a');
    assert.equal(names(model).length, 3);
    assert.equal(model.tail(10).length, 4);
  });

  test('/ finds in names, addresses, processes and reasons; Esc drops it, Enter takes it', () => {
    const model = modelWith(FLOW, DENY);
    press(model, '/BAD');
    assert.deepEqual([model.isSearching, names(model)], [true, ['www.bad.example']]);
    press(model, '\x7f\x7f\x7fwww.exa\r');
    assert.deepEqual([model.isSearching, names(model)], [false, ['www.example.com']]);
    press(model, '/port\r');
    assert.deepEqual(names(model), ['www.bad.example']);
    press(model, '/quits? no: q is a letter here');
    assert.deepEqual(names(model), []);
    press(model, '\x1b');
    assert.deepEqual([model.isSearching, model.search, names(model).length], [false, '', 2]);
  });

  test('p holds events back, and shows them when it is pressed again', () => {
    const model = modelWith(FLOW);
    press(model, 'p');
    model.take(DENY);
    assert.deepEqual([model.isPaused, model.held, names(model)], [true, 1, ['www.example.com']]);
    press(model, 'p');
    assert.deepEqual([model.isPaused, model.held, names(model).length], [false, 0, 2]);
  });

  test('what a long pause has no room for is counted as lost', () => {
    const model = modelWith();
    press(model, 'p');
    for (let i = 0; i < 10_003; i++) model.take({ ...DENY, lost: i === 10_002 ? 7 : 0 });
    assert.deepEqual([model.held, model.lost], [10_000, 3 + 7]);
    press(model, 'p');
    assert.equal(model.rows(1).rows[0]?.count, 10_000);
  });

  test('arrows and pages scroll, within what there is', () => {
    const model = modelWith(...Array.from({ length: 30 }, (_, i) => deniedTo(i)));
    model.setPage(10);
    const first = (keys: string) => {
      press(model, keys);
      return model.rows(10).first;
    };
    assert.deepEqual(
      ['', '\x1b[B', '\x1b[6~', '\x1b[6~', '\x1b[A', '\x1b[5~', '\x1b[F', '\x1b[H', '\x1b[A'].map(first),
      [0, 1, 11, 20, 19, 9, 20, 0, 0],
    );
  });

  test('q and Ctrl-C ask to quit, also in the search for Ctrl-C', () => {
    const model = modelWith();
    assert.equal(model.press({ kind: 'text', text: 'q' }), 'quit');
    press(model, '/');
    assert.equal(model.press({ kind: 'text', text: 'q' }), undefined);
    assert.equal(model.press({ kind: 'interrupt' }), 'quit');
    assert.equal(model.press({ kind: 'suspend' }), 'suspend');
  });
});

describe('rates', () => {
  test('are the mean of the last five whole seconds', () => {
    const model = modelWith({ ...FLOW, count: 10 }, DENY, { ...DENY, timeMs: TIME_MS - 10_000, count: 99 });
    assert.deepEqual(model.rates(TIME_MS + 1_000), { allow: 2, deny: 0.2, would_deny: 0 });
    assert.deepEqual(model.rates(TIME_MS + 9_000), { allow: 0, deny: 0, would_deny: 0 });
  });
});

test('the tail is bounded', () => {
  const model = modelWith(...Array.from({ length: 5_000 }, (_, i) => deniedTo(i)));
  const tail = model.tail(10_000);
  assert.ok(tail.length >= 1_000 && tail.length <= 2_000, `${tail.length}`);
  assert.deepEqual(tail.at(-1), deniedTo(4_999));
});
