/*
 * Scrapes of an enforcer that has much to count, and of one that loses events. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { type Exposition, findSamples, parseExposition, sumOf } from '../metrics/exposition.ts';
import { ask, startMetered } from './metrics-lab.ts';
import { ALLOWED, BLOCKED, createRobustLab, FLAGS, isOpen, startScript } from './robust-lab.ts';
import { causeEvents, startUnread } from './robust-unread.ts';

const SCRAPERS = 10;
const ROUNDS = 5;
const LIMIT_MS = 30_000;
const PORT = 9_465;
/** More than may wait for a reader of stdout. */
const FILLING = 20_000;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

test('with full maps ten scrapers at a time get all, and verdicts go on and are told', async (context) => {
  const { enforcer, url } = await startMetered(context, host);
  await startScript(host, 'metrics-fill', enforcer.instance).waitForLine(/^filled/u, LIMIT_MS);
  const since = enforcer.events().length;
  const scrapes: Exposition[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const asked = Promise.all(Array.from({ length: SCRAPERS }, () => ask(host, url)));
    assert.equal(await isOpen(host, ALLOWED), true);
    assert.equal(await isOpen(host, BLOCKED), false);
    for (const { status, body } of await asked) {
      assert.equal(status, 200);
      scrapes.push(parseExposition(body));
    }
  }
  const last = scrapes.at(-1);
  assert.ok(last);
  assert.ok(sumOf(last, 'l7egg_flows', { direction: 'outbound' }) >= 235_929);
  assert.ok(sumOf(last, 'l7egg_leases') >= 8 * 130_000);
  assert.ok(sumOf(last, 'l7egg_map_entries', { map: 'rule_states' }) >= 131_072);
  assert.ok(sumOf(last, 'l7egg_map_fill_ratio', { map: 'learned' }) > 0.95);
  assert.equal(sumOf(last, 'l7egg_ring_lost_events_total'), 0);
  // They were counted for many at once.
  const counted = new Set(scrapes.map((metrics) => sumOf(metrics, 'l7egg_census_timestamp_seconds')));
  assert.ok(counted.size <= ROUNDS, `counted ${counted.size} times`);
  const refusals = () => enforcer.events(since).filter(({ verdict }) => verdict === 'deny').length;
  await until(() => refusals() === ROUNDS, { limitMs: LIMIT_MS, what: `${ROUNDS} refusals to be told` });
});

test('events that a reader did not take are counted', async (context) => {
  const { read } = await startUnread(context, host, [...FLAGS, `-metrics=${PORT}`]);
  const scrape = async () => {
    const { status, body } = await ask(host, `http://127.0.0.1:${PORT}/metrics`);
    assert.equal(status, 200);
    return parseExposition(body);
  };
  assert.equal(sumOf(await scrape(), 'l7egg_reader_lost_events_total'), 0);
  await causeEvents(host, 0, FILLING);
  const metrics = await until(
    async () => {
      const found = await scrape();
      return (
        sumOf(found, 'l7egg_verdicts_total') + sumOf(found, 'l7egg_ring_lost_events_total') >= FILLING &&
        found
      );
    },
    { limitMs: LIMIT_MS, what: 'all verdicts' },
  );
  const lost = sumOf(metrics, 'l7egg_reader_lost_events_total');
  assert.ok(lost > 0 && lost < FILLING, `${lost} lost`);
  assert.deepEqual(
    findSamples(metrics, 'l7egg_event_readers').map(({ value }) => value),
    [2],
  );
  // What waits for the reader is what it did not lose.
  const events = sumOf(metrics, 'l7egg_events_total');
  let told = 0;
  await until(
    () => {
      told += read().length;
      return told === events - lost;
    },
    { limitMs: LIMIT_MS, what: `${events - lost} events to be read` },
  );
});
