/*
 * Somebody who does not read stdout: events are dropped and counted, and nothing else changes. The lab is that of
 * robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import type { LoggedEvent } from './enforcer.ts';
import { ALLOWED, BLOCKED, createRobustLab, isOpen, l7egg } from './robust-lab.ts';
import { causeEvents, startUnread } from './robust-unread.ts';

const LIMIT_MS = 15_000;
/** More than may wait, 1 MiB and a pipe's 64 KiB, and enough for the collector to have found its size. */
const FILLING = 50_000;
/** The collector lets tens of megabytes pile up between two of its rounds: the least of some looks is what is kept. */
const LOOKS = 3;
/** An event takes a kilobyte: those of three looks, kept, would take 150 MB. */
const MAX_GROWTH_KB = 64 << 10;
/** Of what `causeEvents` sends after FILLING. */
const LAST_PORT = 1024 + FILLING;
/** Has had no event yet. */
const OTHER_BLOCKED = '203.0.113.200';

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

function residentKb(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB/mu.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

test('an enforcer that nobody reads goes on in bounded memory', async (context) => {
  const { process, instance } = await startUnread(context, host);
  const look = async () => {
    const looks: number[] = [];
    for (let i = 0; i < LOOKS; i++) {
      await causeEvents(host, i, FILLING);
      looks.push(residentKb(process.pid));
    }
    return looks;
  };
  const [before, after] = [await look(), await look()];
  const grownKb = Math.min(...after) - Math.min(...before);
  assert.ok(grownKb < MAX_GROWTH_KB, `${before} kB, then ${after} kB`);
  assert.equal(await isOpen(host, BLOCKED), false);
  assert.equal(await isOpen(host, ALLOWED), true);
  assert.equal((await l7egg(host, 'status', `-instance=${instance}`)).code, 0);
});

test('an event after some that were dropped says how many', async (context) => {
  const { instance, read } = await startUnread(context, host);
  await causeEvents(host, 0, FILLING);
  const told: LoggedEvent[] = [];
  /** How many numbers are missing before the event at `index`. */
  const gapAt = (index: number) => (told[index]?.seq ?? 0) - (told[index - 1]?.seq ?? 0) - 1;
  const waited = await until(
    async () => {
      told.push(...read());
      await isOpen(host, OTHER_BLOCKED); // told once there is room
      return told.findIndex((_, index) => gapAt(index) > 0) + 1;
    },
    { limitMs: LIMIT_MS, what: 'an event after those that were dropped' },
  );
  assert.ok(waited < FILLING / 2, `${waited} events waited`);
  await causeEvents(host, FILLING, 10);
  const isLast = ({ dst, dport = 0 }: LoggedEvent) => dst === BLOCKED && dport >= LAST_PORT;
  await until(() => told.push(...read()) > 0 && told.filter(isLast).length === 10, {
    limitMs: LIMIT_MS,
    what: '10 more events',
  });
  const status = await l7egg(host, 'status', '-json', `-instance=${instance}`);
  /* What found no room in the ring is counted, too. */
  const { ring_full: unseen = 0 } = JSON.parse(status.stdout).counters;
  const wrong = told.filter(({ lost = 0 }, index) => lost < gapAt(index) || lost > gapAt(index) + unseen);
  assert.deepEqual(wrong, []);
  const lost = told.reduce((sum, event) => sum + (event.lost ?? 0), 0);
  const dropped = (told.at(-1)?.seq ?? 0) - told.length;
  assert.ok(dropped > FILLING / 4, `${dropped} were dropped`);
  assert.ok(lost <= dropped + unseen, `${lost} lost: ${dropped} dropped, ${unseen} unseen`);
});
