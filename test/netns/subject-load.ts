/*
 * One of many processes that look fresh names up and connect at once, while others of its cgroup and of other cgroups
 * do the same: a Load as JSON in its first argument; prints a LoadReport as JSON. Nothing is tried twice.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { decode, encode } from 'dns-packet';

/** What one process does. */
export interface Load {
  readonly resolver: string;
  /** Names are `NONCE-N.SUFFIX`, with an AAAA record each. */
  readonly suffix: string;
  readonly nonce: string;
  readonly first: number;
  readonly count: number;
  /** Names under way at a time. */
  readonly parallel: number;
  /** Never allowed: tried once for each name. */
  readonly blocked: string;
}

/** What came of it. */
export interface LoadReport {
  readonly connected: number;
  readonly refused: number;
  readonly failures: readonly string[];
}

const LIMIT_MS = 10_000;
const load: Load = JSON.parse(process.argv[2] ?? '');
const failures: string[] = [];
let [connected, refused, next] = [0, 0, 0];

async function lookUp(name: string, id: number): Promise<string> {
  const socket = createSocket('udp4');
  try {
    const answering = once(socket, 'message', { signal: AbortSignal.timeout(LIMIT_MS) });
    const question = { type: 'AAAA', name } as const;
    socket.send(encode({ type: 'query', id, flags: 0x100, questions: [question] }), 53, load.resolver);
    const [message]: Buffer[] = await answering;
    const record = message && decode(message).answers?.find(({ type }) => type === 'AAAA');
    if (record?.type !== 'AAAA') throw new Error('no AAAA record');
    return record.data;
  } finally {
    socket.close();
  }
}

function call(host: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: 80 });
    socket.setTimeout(LIMIT_MS, () => {
      resolve('late');
      socket.destroy();
    });
    socket.once('error', (cause: NodeJS.ErrnoException) => resolve(cause.code ?? cause.message));
    socket.once('connect', () => {
      resolve('connected');
      socket.resetAndDestroy();
    });
  });
}

async function tryOne(index: number): Promise<void> {
  const name = `${load.nonce}-${index}.${load.suffix}`;
  try {
    const address = await lookUp(name, index & 0xffff);
    const [how, other] = await Promise.all([call(address), call(load.blocked)]);
    if (how === 'connected') connected += 1;
    else failures.push(`${name} at ${address}: ${how}`);
    if (other === 'EPERM') refused += 1;
    else failures.push(`${load.blocked}: ${other}`);
  } catch (cause) {
    failures.push(`${name}: ${cause}`);
  }
}

async function work(): Promise<void> {
  while (next < load.count) {
    next += 1;
    await tryOne(load.first + next - 1);
  }
}

await Promise.all(Array.from({ length: load.parallel }, work));
const report: LoadReport = { connected, refused, failures };
process.stdout.write(JSON.stringify(report));
