import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePace } from '../../src/flow/pace.ts';

const PACE_MS = 40;

/** Calls `pace` once; answers how many ms it took to be called back. */
function wait(pace: (act: () => void) => void): Promise<number> {
  const started = performance.now();
  return new Promise((resolve) => pace(() => resolve(performance.now() - started)));
}

test('makePace calls at once after a pause, and in a stream as often as its pace', async () => {
  const pace = makePace(PACE_MS);
  const started = performance.now();
  const firstMs = await wait(pace);
  const times: number[] = [];
  for (let call = 0; call < 5; call += 1) times.push(await wait(pace));
  const allMs = performance.now() - started;
  assert.ok(firstMs < PACE_MS, `${firstMs} ms`);
  // A timer of node may be a millisecond early.
  assert.ok(
    times.every((ms) => ms > PACE_MS - 2),
    `${times} ms`,
  );
  assert.ok(allMs >= 5 * (PACE_MS - 2));
});

test('makePace is at rest again after a pause', async () => {
  const pace = makePace(PACE_MS);
  await wait(pace);
  await new Promise((resolve) => setTimeout(resolve, PACE_MS + 2));
  const ms = await wait(pace);
  assert.ok(ms < PACE_MS, `${ms} ms`);
});

test('makePace does not call in the turn in which it is asked', async () => {
  let isCalled = false;
  const done = new Promise<void>((resolve) =>
    makePace(1)(() => {
      isCalled = true;
      resolve();
    }),
  );
  assert.equal(isCalled, false);
  await done;
});
