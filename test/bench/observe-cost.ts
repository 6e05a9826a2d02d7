/*
 * What it costs to be looked at: an enforcer that judges new flows all the time, with nobody reading its events, with
 * one `observe -f -json >/dev/null`, and with a hundred readers, in turns and in random order within each round.
 *
 *   host eth0 ── wire ── web   accepts TCP at every address of 203.0.113.0/24; 198.18.0.0/16 leads nowhere
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { controlPath } from '../../src/enforcer/control-path.ts';
import { Scope } from '../../src/scope.ts';
import { findCheckout, findCli } from '../lab/checkout.ts';
import { mustRun } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import { startWeb } from '../lab/servers.ts';
import { createLab, ip } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import type { Compiler } from './compile.ts';
import type { Report } from './report.ts';
import { median, shuffle } from './statistics.ts';

const ROUNDS = 9;
const LIMIT_MS = 30_000;
const SETTLE_MS = 200;
const CONNECT_MS = 400;
const PACKETS = 150_000;
/** New flows beside the packets: what a busy host has. */
const FLOWS_A_SECOND = 1_000;
const FLOOD = 150_000;
/** Enforcing with a reader is at least 0.97 of what it is without. */
const MAX_SLOWER = 1 / 0.97;
const MANY = 100;
const WATCHED = [1, MANY] as const;
const READERS = [0, ...WATCHED] as const;

type Readers = (typeof READERS)[number];
type Samples = Map<Readers, number[]>;

interface Place {
  readonly host: Namespace;
  readonly client: string;
  readonly flood: string;
  readonly instance: string;
  /** Flows that were begun so far: the next ones are others. */
  begun: number;
  flooded: number;
}

/** Measures connects, packets, and how many events the process can tell. */
export async function measureObserving(compiler: Compiler, report: Report): Promise<void> {
  using scope = new Scope();
  const place = await makePlace(scope, compiler);
  const connects: Samples = new Map();
  const connectCosts: Samples = new Map();
  const packets: Samples = new Map();
  const events: Samples = new Map();
  for (let round = 0; round < ROUNDS; round += 1) {
    report.progress(`being looked at: round ${round + 1} of ${ROUNDS}`);
    for (const readers of shuffle(READERS)) {
      using _reading = await read(place, readers);
      const { aSecond, cpuNs } = await measureConnects(place);
      add(connects, readers, aSecond);
      add(connectCosts, readers, cpuNs);
      add(packets, readers, await measurePackets(place));
      if (round < 3) add(events, readers, await measureEvents(place));
    }
  }
  /** Of the values in the same round with nobody reading, the median. */
  const share = (samples: Samples, readers: Readers) =>
    median(
      (samples.get(0) ?? []).map((alone, round) => (samples.get(readers)?.[round] ?? Number.NaN) / alone),
    );
  const rows = (title: string, samples: Samples) => [
    [title, ...READERS.map((readers) => median(samples.get(readers) ?? []).toFixed(0))],
    ['of that without a reader', '', ...WATCHED.map((readers) => share(samples, readers).toFixed(3))],
  ];
  report.table('Being looked at: an enforcer with 0, 1 and 100 readers of its events', [
    ['', ...READERS.map(String)],
    ...rows(`CPU ns of a packet of flows that are known, with ${FLOWS_A_SECOND} new ones a second`, packets),
    ...rows('CPU ns of a TCP connect', connectCosts),
    ...rows('TCP connects a second, as fast as one after the other can be, each two events', connects),
    ...rows(`events a second that are told of ${FLOOD} new flows at once`, events),
  ]);
  for (const [what, samples] of [
    ['packets', packets],
    ['connects', connectCosts],
  ] as const) {
    report.expect({
      what: `${what} with one reader`,
      value: share(samples, 1),
      limit: MAX_SLOWER,
      unit: ' × the CPU time of those without',
    });
  }
}

async function makePlace(scope: Scope, compiler: Compiler): Promise<Place> {
  const lab = scope.use(createLab());
  const { host, web } = lab;
  await startWeb(web);
  ip(web, ['route add blackhole 198.18.0.0/15']);
  const instance = `bench-observe-${process.pid}`;
  scope.defer(() => mustRun([findCli(), 'clean', `-instance=${instance}`]));
  const flags = ['-iface=eth0', '-eface=eth0', '-cidr=203.0.113.0/24,198.18.0.0/15', '-resolver=192.0.2.53'];
  const words = [findCli(), ...flags, '-log=json', `-instance=${instance}`];
  const enforcer = host.spawn('sh', ['-c', 'exec "$@" >/dev/null', 'sh', ...words]);
  await enforcer.waitForLine(/^enforcing/u, LIMIT_MS);
  const flood = `${host.directory}/observe-flood`;
  mustRun(['clang', '-O2', `${findCheckout()}/test/netns/observe-flood.c`, '-o', flood]);
  return { host, client: compiler.program('observe-client.c'), flood, instance, begun: 0, flooded: 0 };
}

/** Readers that read until they are disposed of. */
async function read(place: Place, readers: Readers): Promise<Disposable> {
  const scope = new Scope();
  if (readers === 1) {
    const words = [findCli(), 'observe', '-f', '-json', `-instance=${place.instance}`];
    const reader = scope.use(place.host.spawn('sh', ['-c', 'exec "$@" >/dev/null', 'sh', ...words]));
    await until(() => isConnected(reader.pid), { limitMs: LIMIT_MS, what: 'the reader' });
  }
  for (let each = 0; readers === MANY && each < MANY; each += 1) {
    const socket = createConnection(controlPath(place.instance));
    socket.on('error', () => {});
    socket.write('{"command":"observe","follow":true,"last":0}\n');
    socket.resume();
    scope.defer(() => socket.destroy());
  }
  await pause(SETTLE_MS);
  return { [Symbol.dispose]: () => scope.close() };
}

/* Its stderr is one, too. */
function isConnected(pid: number): boolean {
  const sockets = readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // closed meanwhile
    }
  });
  return sockets.length > 1;
}

async function measureConnects({ host, client }: Place): Promise<{ aSecond: number; cpuNs: number }> {
  const text = await run(host, client, ['connects', '203.0.113.1', '80', `${CONNECT_MS}`]);
  const [aSecond = Number.NaN, cpuNs = Number.NaN] = text.split(' ').map(Number);
  return { aSecond, cpuNs };
}

/* While others begin flows. */
async function measurePackets(place: Place): Promise<number> {
  const { host, client, flood } = place;
  const others = host.spawn(flood, ['198.19.0.0', `${place.begun}`, '1000000', `${FLOWS_A_SECOND}`]);
  const ns = Number(await run(host, client, ['packets', '198.18.255.1', `${PACKETS}`]));
  await others.stop();
  place.begun += FLOWS_A_SECOND * (LIMIT_MS / 1_000);
  return ns;
}

async function measureEvents(place: Place): Promise<number> {
  const { host, flood } = place;
  const before = await lastSeq(place);
  const started = performance.now();
  await run(host, flood, ['198.18.0.0', `${place.flooded}`, `${FLOOD}`]);
  const seconds = (performance.now() - started) / 1_000;
  place.flooded += FLOOD;
  return ((await lastSeq(place)) - before) / seconds;
}

async function lastSeq({ host, instance }: Place): Promise<number> {
  const line = await run(host, findCli(), ['observe', '-json', '-n=1', `-instance=${instance}`]);
  const event: { readonly seq: number } = JSON.parse(line);
  return event.seq;
}

/* Not held up meanwhile: we may be a hundred readers. */
async function run(host: Namespace, command: string, args: readonly string[]): Promise<string> {
  const done = await host.runAsync(command, args, { timeoutMs: LIMIT_MS });
  if (done.code !== 0) throw new Error(`Cannot run ${command} ${args.join(' ')}: ${done.stderr}`);
  return done.stdout;
}

function add(samples: Samples, readers: Readers, value: number): void {
  samples.set(readers, [...(samples.get(readers) ?? []), value]);
}
