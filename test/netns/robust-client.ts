/*
 * Traffic that must not notice that an enforcer dies and returns. Runs by itself in a network namespace, with a
 * Traffic as JSON in its first argument, until SIGTERM; then prints a TrafficReport as JSON. Nothing is tried twice.
 * SIGUSR2: what follows need not be in force; SIGUSR1: it is again. Each is answered by a line, `free` and `strict`.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { decode, encode } from 'dns-packet';
import type { Traffic, TrafficReport } from './robust-traffic.ts';

const LIMIT_MS = 2_000;
const PACE_MS = 8;
const MAX_FAILURES = 20;
/** A SYN that is lost is sent again after a second. */
const MAX_CONNECT_MS = 900;

const traffic: Traffic = JSON.parse(process.argv[2] ?? '');
const paceMs = traffic.paceMs ?? PACE_MS;
const report: TrafficReport = {
  fresh: 0,
  blocked: 0,
  allowed: 0,
  echoed: 0,
  unjudged: 0,
  slowestMs: 0,
  lostWhileFree: 0,
  synRetransmits: 0,
  failures: [],
  failed: 0,
};
let isEnding = false;
let asked = 0;
/** Ends when all is in force no more; aborted while it is not. */
let inForce = new AbortController();
if (traffic.isFree) inForce.abort();

function fail(what: string): void {
  report.failed += 1;
  if (report.failures.length < MAX_FAILURES) report.failures.push(`${new Date().toISOString()} ${what}`);
}

function readSynRetransmits(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/netstat', 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'));
  return Number(values.split(' ')[names.split(' ').indexOf('TCPSynRetrans')]);
}

/** Connects once; resolves with `connected`, an errno name, or `late`. */
function connectOnce(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const since = inForce.signal;
    const from = performance.now();
    const socket = connect({ host, port, noDelay: true });
    const end = (how: string) => {
      const tookMs = performance.now() - from;
      if (how === 'connected') report.slowestMs = Math.max(report.slowestMs, tookMs);
      if (how === 'connected' && tookMs > MAX_CONNECT_MS) {
        if (since.aborted) report.lostWhileFree += 1;
        else fail(`${host}: a SYN was lost, ${tookMs} ms`);
      }
      resolve(how);
      socket.resetAndDestroy();
    };
    socket.setTimeout(LIMIT_MS, () => end('late'));
    socket.once('error', (cause: NodeJS.ErrnoException) => end(cause.code ?? cause.message));
    socket.once('connect', () => end('connected'));
  });
}

async function lookUp(name: string): Promise<string | undefined> {
  const socket = createSocket('udp4');
  try {
    const answering = once(socket, 'message', { signal: AbortSignal.timeout(LIMIT_MS) });
    const question = { type: 'AAAA', name } as const;
    socket.send(
      encode({ type: 'query', id: asked & 0xffff, flags: 0x100, questions: [question] }),
      53,
      traffic.resolver,
    );
    const [message]: Buffer[] = await answering;
    const record = message && decode(message).answers?.find(({ type }) => type === 'AAAA');
    return record?.type === 'AAAA' ? record.data : undefined;
  } catch {
    return undefined; // no answer in time, or an error from the network: told by the caller
  } finally {
    socket.close();
  }
}

/** Counts what an attempt came to, unless all was not in force during the whole of it. */
function judge(since: AbortSignal, count: 'fresh' | 'blocked', what: string | undefined): void {
  if (since.aborted) report.unjudged += 1;
  else if (what === undefined) report[count] += 1;
  else fail(what);
}

function nextName(): string {
  asked += 1;
  return `${traffic.nonce}-${asked - 1}.${traffic.suffix}`;
}

async function tryFreshNames(): Promise<void> {
  while (asked < traffic.names && !isEnding) {
    const since = inForce.signal;
    const name = nextName();
    const address = await lookUp(name);
    const how = address === undefined ? 'no answer' : await connectOnce(address, 80);
    judge(since, 'fresh', how === 'connected' ? undefined : `${name} at ${address}: ${how}`);
    await pause(paceMs);
  }
  if (!isEnding) fail(`the names ran out after ${traffic.names}`);
}

async function tryBlocked(): Promise<void> {
  const refusal = traffic.refusal ?? 'ECONNREFUSED';
  while (!isEnding) {
    const since = inForce.signal;
    const how = await connectOnce(traffic.blocked, 80);
    judge(since, 'blocked', how === refusal ? undefined : `${traffic.blocked}: ${how}`);
    await pause(paceMs);
  }
}

async function tryAllowed(): Promise<void> {
  while (!isEnding) {
    const how = await connectOnce(traffic.echo, 80);
    if (how === 'connected') report.allowed += 1;
    else fail(`${traffic.echo}: ${how}`);
    await pause(paceMs);
  }
}

/** Keeps a flow alive until the end, or until all is in force no more. */
async function echo(host: string, until?: AbortSignal): Promise<void> {
  const socket: Socket = connect({ host, port: 7, noDelay: true });
  socket.on('error', (cause) => {
    if (!until?.aborted) fail(`echo at ${host}: ${cause.message}`);
  });
  const isOver = () => isEnding || until?.aborted === true || socket.destroyed;
  await once(socket, 'connect').catch(() => {}); // told by the listener above
  for (let count = 0; !isOver(); count++) {
    const sent = `${count}`.padStart(8);
    socket.write(sent);
    const got = await once(socket, 'data', { signal: AbortSignal.timeout(LIMIT_MS) }).catch(() => [
      'nothing',
    ]);
    if (`${got[0]}` === sent) report.echoed += 1;
    else if (!until?.aborted) fail(`echo of ${count} at ${host}: "${got[0]}"`);
    await pause(paceMs);
  }
  socket.destroy();
}

/** As `echo`, to a name that nobody asked for before, anew whenever all has come to be in force. */
async function echoByName(): Promise<void> {
  while (!isEnding) {
    const since = inForce.signal;
    const address = since.aborted ? undefined : await lookUp(nextName());
    if (address !== undefined && !since.aborted) await echo(address, since);
    await pause(paceMs);
  }
}

process.on('SIGUSR1', () => {
  if (inForce.signal.aborted) inForce = new AbortController();
  process.stdout.write('strict\n');
});
process.on('SIGUSR2', () => {
  inForce.abort();
  process.stdout.write('free\n');
});
process.on('SIGTERM', () => {
  isEnding = true;
});
const before = readSynRetransmits();
process.stdout.write('going\n');
await Promise.all([tryFreshNames(), tryBlocked(), tryAllowed(), echo(traffic.echo), echoByName()]);
report.synRetransmits = readSynRetransmits() - before;
process.stdout.write(`${JSON.stringify(report)}\n`);
