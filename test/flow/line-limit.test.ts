import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LineLimit } from '../../src/flow/line-limit.ts';

const RATE = { burst: 3, perSecond: 2 };

function admitted(limit: LineLimit, count: number, nowMs: number): number {
  return Array.from({ length: count }, () => limit.admit('info', nowMs)).filter(Boolean).length;
}

describe('LineLimit', () => {
  test('admits a burst at once, and no line more', () => {
    const limit = new LineLimit(RATE);
    assert.equal(admitted(limit, 10, 0), 3);
    assert.deepEqual(limit.takeLeftOut(), [{ level: 'info', lines: 7 }]);
  });

  test('admits more as time passes, up to a burst', () => {
    const limit = new LineLimit(RATE);
    assert.equal(admitted(limit, 3, 0), 3);
    assert.equal(admitted(limit, 10, 499), 0);
    assert.equal(admitted(limit, 10, 1_000), 2);
    assert.equal(admitted(limit, 10, 60_000), 3);
  });

  test('a flood of one level takes nothing from another', () => {
    const limit = new LineLimit(RATE);
    admitted(limit, 1_000_000, 0);
    assert.equal(limit.admit('notice', 0), true);
    assert.equal(limit.admit('error', 0), true);
  });

  test('what was left out is told once, the most important level first', () => {
    const limit = new LineLimit({ burst: 0, perSecond: 0 });
    limit.admit('info', 0);
    limit.admit('error', 0);
    limit.admit('info', 0);
    assert.deepEqual(limit.takeLeftOut(), [
      { level: 'error', lines: 1 },
      { level: 'info', lines: 2 },
    ]);
    assert.deepEqual(limit.takeLeftOut(), []);
  });

  test('a clock that goes back gives nothing and takes nothing', () => {
    const limit = new LineLimit(RATE);
    assert.equal(admitted(limit, 2, 5_000), 2);
    assert.equal(admitted(limit, 2, 1_000), 1);
    assert.equal(admitted(limit, 2, 1_500), 1);
  });
});
