/*
 * Runs by itself in a network namespace: a plan as JSON on stdin, a report as JSON on stdout.
 * An answer is followed by connect() in the same turn of the event loop, as a fast program would do it.
 */
import { createSocket, type Socket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { decode, encode } from 'dns-packet';
import { type FirstPacketPlan, type FirstPacketReport, spreadOf } from './first-packet.ts';

const MAX_FAILURES = 20;

/** Reads one counter of /proc/net/netstat, where each group has a line of names and a line of values. */
function readSynRetransmits(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/netstat', 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'));
  return Number(values.split(' ')[names.split(' ').indexOf('TCPSynRetrans')]);
}

function receive(socket: Socket, limitMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no answer after ${limitMs} ms`)), limitMs);
    const settle = (done: () => void) => () => {
      clearTimeout(late);
      done();
    };
    socket.once('message', (message) => settle(() => resolve(message))());
    socket.once('error', (cause) => settle(() => reject(cause))());
  });
}

function connectOnce(host: string, port: number, limitMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    socket.setTimeout(limitMs, () =>
      socket.destroy(new Error(`connect to ${host}: nothing after ${limitMs} ms`)),
    );
    socket.once('error', reject);
    socket.once('connect', () => {
      resolve();
      socket.resetAndDestroy();
    });
  });
}

async function run(plan: FirstPacketPlan): Promise<FirstPacketReport> {
  const answerMs: number[] = [];
  const connectMs: number[] = [];
  const failures: string[] = [];
  let failed = 0;
  let next = 0;
  const wanted = plan.family === 4 ? 'A' : 'AAAA';

  async function tryName(index: number): Promise<void> {
    const name = `${plan.nonce}-${index}.${plan.suffix}`;
    const socket = createSocket(plan.resolver.includes(':') ? 'udp6' : 'udp4');
    try {
      const asked = performance.now();
      const answering = receive(socket, plan.limitMs);
      socket.send(
        encode({ type: 'query', id: index & 0xffff, flags: 0x100, questions: [{ type: wanted, name }] }),
        plan.resolverPort,
        plan.resolver,
      );
      const answer = decode(await answering);
      const answered = performance.now();
      const address = answer.answers?.find((record) => record.type === wanted);
      if (address === undefined || (address.type !== 'A' && address.type !== 'AAAA'))
        throw new Error(`no ${wanted} record`);
      const connecting = connectOnce(address.data, plan.connectPort, plan.limitMs);
      answerMs.push(answered - asked);
      await connecting;
      connectMs.push(performance.now() - answered);
    } catch (cause) {
      failed += 1;
      if (failures.length < MAX_FAILURES)
        failures.push(`${name}: ${cause instanceof Error ? cause.message : cause}`);
    } finally {
      socket.close();
    }
  }

  async function work(): Promise<void> {
    while (next < plan.count) {
      next += 1;
      await tryName(next - 1);
    }
  }

  const before = readSynRetransmits();
  const started = performance.now();
  await Promise.all(Array.from({ length: plan.parallel }, work));
  return {
    asked: plan.count,
    answered: answerMs.length,
    connected: connectMs.length,
    synRetransmits: readSynRetransmits() - before,
    answerMs: spreadOf(answerMs),
    connectMs: spreadOf(connectMs),
    totalMs: performance.now() - started,
    failures,
    failed,
  };
}

const plan: FirstPacketPlan = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(await run(plan)));
