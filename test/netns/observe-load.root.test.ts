/*
 * Many readers, one that never reads, and more events than anybody can take: nobody waits for anybody, and what is
 * lost is counted to the last event. The lab is that of observe-lab.ts; 198.18.0.0/16 is allowed, and nobody answers.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { controlPath } from '../../src/enforcer/control-path.ts';
import { findCheckout, findCli } from '../lab/checkout.ts';
import { curl } from '../lab/clients.ts';
import { mustRun } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import { ip, type Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { CIDR, createObserveLab, FLAGS, observe, REFUSED } from './observe-lab.ts';
import { EventCounter } from './observe-reader.ts';
import { l7egg, newInstance } from './robust-lab.ts';

const FLOOD = '198.18.0.0';
const LIMIT_MS = 30_000;
const READERS = 100;
/** Of flows at a time: less than the ring of the kernel holds. */
const PART = 1_000;
/** Events that may wait for a reader, besides 320 kB of text and what its socket takes. */
const WAITING = 8_192;
/** More than that. */
const PARTS = 12;
const VERDICTS = 1_000_000;
/** More than the ring holds. */
const STANDSTILL = 20_000;
const MAX_RESIDENT_KB = 256 << 10;
const CONNECTS = 8;
/** Events that are told from one connect to the next. */
const BETWEEN_CONNECTS = 10_000;
/** Of a refusal behind them. */
const HIDDEN_PORT = 4_242;
/** A SYN that is lost is sent again after a second. */
const MAX_CONNECT_MS = 900;
/** Events of one connect to an allowed address: the flow, and its end. */
const EVENTS_OF_CONNECT = 2;

let lab: Lab;
let host: Namespace;
let flood: string;
let pid: number;
const instance = newInstance();

before(async () => {
  lab = await createObserveLab();
  host = lab.host;
  ip(lab.web, ['route add blackhole 198.18.0.0/16']);
  flood = join(host.directory, 'flood');
  const source = join(findCheckout(), 'test', 'netns', 'observe-flood.c');
  mustRun(['clang', '-O2', '-Wall', '-Wextra', '-Werror', source, '-o', flood]);
  const words = [findCli(), ...FLAGS, `-cidr=${FLOOD}/16`, '-log=json', `-instance=${instance}`];
  const enforcer = host.spawn('sh', ['-c', 'exec "$@" >/dev/null', 'sh', ...words]);
  await enforcer.waitForLine(/^enforcing/u, LIMIT_MS);
  ({ pid } = enforcer);
});
after(async () => {
  await l7egg(host, 'clean', `-instance=${instance}`);
  lab.close();
});

const isOfFlood = (line: string) => line.includes('"dst":"198.18.');
const counter = () => new EventCounter(controlPath(instance), isOfFlood);
const residentKb = () =>
  Number(/^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);

async function ringFull(): Promise<number> {
  const { stdout } = await l7egg(host, 'status', '-json', `-instance=${instance}`);
  return JSON.parse(stdout).counters.ring_full;
}

/** New flows, from the `first` on that no other call made. */
async function send(first: number, count: number): Promise<void> {
  const done = await host.runAsync(flood, [FLOOD, `${first}`, `${count}`], { timeoutMs: 120_000 });
  assert.match(done.stdout, new RegExp(`^sent ${count} in \\d+ ms, failed 0$`, 'mu'));
}

/** How long a connect to an allowed address took, which has to succeed. */
async function connectMs(): Promise<number> {
  const { exitCode, connectMs: tookMs } = await curl(host, `http://${CIDR}/`);
  assert.equal(exitCode, 0);
  return tookMs;
}

/** What a reader lost is told with its next event: causes events until it was. Answers how many. */
async function untilTold(isTold: () => boolean, what: string): Promise<number> {
  let caused = 0;
  await until(
    async () => {
      if (isTold()) return true;
      caused += 1;
      await curl(host, `http://${REFUSED}:${caused}/`);
      return false;
    },
    { limitMs: LIMIT_MS, what },
  );
  return caused;
}

test('100 readers: one of them never reads, the others get every event in order', async (context) => {
  const lostBefore = await ringFull();
  const readers = Array.from({ length: READERS }, counter);
  try {
    await until(() => readers.every(({ isFollowing }) => isFollowing), {
      limitMs: LIMIT_MS,
      what: 'all readers',
    });
    const [stuck, ...others] = readers;
    assert.ok(stuck);
    stuck.stop();
    for (let part = 1; part <= PARTS; part += 1) {
      await send((part - 1) * PART, PART);
      // So that it is told of what the kernel told, be the machine as busy as it may.
      await until(() => others.every(({ counted }) => counted === part * PART), {
        limitMs: LIMIT_MS,
        what: `part ${part}`,
      });
      assert.equal((await curl(host, `http://${REFUSED}/`)).exitCode, 7);
      assert.ok((await connectMs()) < MAX_CONNECT_MS);
    }
    assert.equal(await ringFull(), lostBefore, 'the kernel lost nothing');
    for (const reader of others) {
      assert.deepEqual([reader.lost, reader.gaps, reader.disordered], [0, 0, 0]);
    }
    const kb = residentKb();
    context.diagnostic(`${READERS} readers, one of them stuck: ${kb >> 10} MiB resident`);
    assert.ok(kb < MAX_RESIDENT_KB, `${kb} kB`);

    const had = stuck.events;
    stuck.goOn();
    await untilTold(() => stuck.lost > 0, 'what the stuck one lost');
    await until(() => stuck.last === others[0]?.last, { limitMs: LIMIT_MS, what: 'its last event' });
    assert.ok(stuck.events - had > WAITING, `${stuck.events} events had waited`);
    assert.ok(stuck.lost > PART, `${stuck.lost} lost`);
    // It is told of the loss where that happened, to the last event: between refusals, which find room longer.
    assert.deepEqual([stuck.missing, stuck.disordered], [stuck.lost, 0]);
    assert.ok(stuck.gaps >= 1 && stuck.gaps <= PARTS, `${stuck.gaps} gaps`);
  } finally {
    for (const reader of readers) reader.close();
  }
});

test('a flood of a million verdicts: nothing waits, and what is lost is counted', async (context) => {
  const first = (PARTS + 1) * PART;
  using reader = counter();
  using stuck = counter();
  await until(() => reader.isFollowing && stuck.isFollowing, { limitMs: LIMIT_MS, what: 'the readers' });
  stuck.stop();
  const lostBefore = await ringFull();
  const quiet: number[] = [];
  for (let index = 0; index < CONNECTS; index += 1) quiet.push(await connectMs());

  const busy: number[] = [];
  const started = performance.now();
  const sending = { isOver: false };
  const sent = send(first, VERDICTS).finally(() => {
    sending.isOver = true;
  });
  while (!sending.isOver) {
    busy.push(await connectMs());
    const { counted } = reader;
    const isTime = () => sending.isOver || reader.counted > counted + BETWEEN_CONNECTS;
    await until(isTime, { limitMs: LIMIT_MS, what: 'more of the flood' });
  }
  await sent;
  const floodMs = performance.now() - started;
  assert.ok(busy.length >= CONNECTS, `${busy.length} connects during the flood`);
  assert.ok(Math.max(...quiet, ...busy) < MAX_CONNECT_MS, `${busy} ms, without ${quiet} ms`);
  assert.equal((await curl(host, `http://${REFUSED}/`)).exitCode, 7);

  stuck.goOn();
  const connects = quiet.length + busy.length;
  const isWhole = ({ counted, lost }: EventCounter) => counted + lost >= VERDICTS;
  const asked = await untilTold(() => isWhole(reader) && isWhole(stuck), 'the account of all verdicts');
  for (const { counted, lost, disordered } of [reader, stuck]) {
    // Lost was what is not of the flood, too: of connects, and what was told of losses.
    const more = counted + lost - VERDICTS;
    assert.ok(
      more <= (connects + asked + 1) * EVENTS_OF_CONNECT + 10,
      `${counted} told, ${lost} lost: ${more} too many`,
    );
    assert.equal(disordered, 0);
  }
  const ring = (await ringFull()) - lostBefore;
  assert.ok(reader.lost >= ring && stuck.lost >= ring, 'what the kernel could not tell is lost to all');
  const kb = residentKb();
  const middle = (times: readonly number[]) =>
    [...times].sort((a, b) => a - b)[times.length >> 1]?.toFixed(1);
  context.diagnostic(
    `of ${VERDICTS} verdicts in ${(floodMs / 1000).toFixed(1)} s ${reader.counted} told, ${ring} lost in the ring; connects took ${middle(busy)} ms, ` +
      `without the flood ${middle(quiet)} ms; ${kb >> 10} MiB resident`,
  );
  assert.ok(kb < MAX_RESIDENT_KB, `${kb} kB`);
});

test('what the ring of the kernel could not hold while the process stood still is told, to the last one', async () => {
  const first = (PARTS + 1) * PART + VERDICTS;
  using reader = counter();
  await until(() => reader.isFollowing, { limitMs: LIMIT_MS, what: 'the reader' });
  const lostBefore = await ringFull();
  process.kill(pid, 'SIGSTOP');
  try {
    await send(first, STANDSTILL);
    assert.ok((await connectMs()) < MAX_CONNECT_MS, 'enforcing goes on');
    // From there on nothing that passes finds room; a refusal does.
    assert.equal((await curl(host, `http://${REFUSED}:${HIDDEN_PORT}/`)).exitCode, 7);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await until(() => reader.counted + reader.lost >= STANDSTILL, { limitMs: LIMIT_MS, what: 'the loss' });
  const ring = (await ringFull()) - lostBefore;
  assert.equal(reader.lost, ring);
  assert.ok(ring > 0 && reader.gaps === 0, 'numbers are of what was told');
  const more = reader.counted + reader.lost - STANDSTILL;
  assert.ok(more <= EVENTS_OF_CONNECT + 1, `${reader.counted} told, ${reader.lost} lost`);
  const { stdout } = await observe(host, { instance }, '-n=20');
  const told = new RegExp(
    `events-lost ${ring} events were lost: more happened than could be read \\(${ring} events lost before\\)$`,
    'mu',
  );
  assert.match(stdout, told);
  assert.match(stdout, new RegExp(` deny .* ${REFUSED.replaceAll('.', '\\.')}:${HIDDEN_PORT}/tcp`, 'mu'));
});
