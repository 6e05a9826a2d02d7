/*
 * Traffic that must not notice that an enforcer dies and returns. Runs by itself in a network namespace, with a
 * Traffic as JSON in its first argument, until SIGTERM; then prints a TrafficReport as JSON. Nothing is tried twice.
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

const traffic: Traffic = JSON.parse(process.argv[2] ?? '');
const report: TrafficReport = { fresh: 0, blocked: 0, echoed: 0, synRetransmits: 0, failures: [], failed: 0 };
let isEnding = false;

function fail(what: string): void {
  report.failed += 1;
  if (report.failures.length < MAX_FAILURES) report.failures.push(what);
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
    const socket = connect({ host, port, noDelay: true });
    const end = (how: string) => {
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
      encode({ type: 'query', id: report.fresh & 0xffff, flags: 0x100, questions: [question] }),
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

async function tryFreshNames(): Promise<void> {
  for (let index = 0; index < traffic.names && !isEnding; index++) {
    const name = `${traffic.nonce}-${index}.${traffic.suffix}`;
    const address = await lookUp(name);
    if (address === undefined) {
      fail(`${name}: no answer`);
      continue;
    }
    const how = await connectOnce(address, 80);
    if (how === 'connected') report.fresh += 1;
    else fail(`${name} at ${address}: ${how}`);
    await pause(PACE_MS);
  }
  if (!isEnding) fail(`the names ran out after ${traffic.names}`);
}

async function tryBlocked(): Promise<void> {
  while (!isEnding) {
    const how = await connectOnce(traffic.blocked, 80);
    if (how === (traffic.refusal ?? 'ECONNREFUSED')) report.blocked += 1;
    else fail(`${traffic.blocked}: ${how}`);
    await pause(PACE_MS);
  }
}

async function echo(): Promise<void> {
  const socket: Socket = connect({ host: traffic.echo, port: 7, noDelay: true });
  socket.on('error', (cause) => fail(`echo: ${cause.message}`));
  await once(socket, 'connect');
  for (let count = 0; !isEnding; count++) {
    const sent = `${count}`.padStart(8);
    socket.write(sent);
    const got = await once(socket, 'data', { signal: AbortSignal.timeout(LIMIT_MS) }).catch(() => [
      'nothing',
    ]);
    if (`${got[0]}` === sent) report.echoed += 1;
    else fail(`echo of ${count}: "${got[0]}"`);
    await pause(PACE_MS);
  }
  socket.destroy();
}

process.on('SIGTERM', () => {
  isEnding = true;
});
const before = readSynRetransmits();
process.stdout.write('going\n');
await Promise.all([tryFreshNames(), tryBlocked(), echo()]);
report.synRetransmits = readSynRetransmits() - before;
process.stdout.write(`${JSON.stringify(report)}\n`);
