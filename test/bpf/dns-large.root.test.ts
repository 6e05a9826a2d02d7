import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { after, beforeEach, test } from 'node:test';
import { addClsact, attachFilter } from '../../src/libbpf/clsact.ts';
import { attachTcx, type Direction, hasTcx } from '../../src/libbpf/link.ts';
import { record } from '../dns/raw-message.ts';
import { enterScratchNetns } from '../libbpf/namespace.ts';
import { answer, aRecord, DNS_PORT, QUERIED, query, STUB } from './dns-exchange.ts';
import { useHarness } from './harness.ts';

/*
 * The kernel takes no test frame of more than 3.7 kB: these answers come over a real `lo` of 64 kB.
 *   client 127.0.0.1 ── lo (query on egress, learn on ingress) ── stub 127.0.0.53:53
 */
enterScratchNetns();
const datapath = await useHarness('query', 'learn');
const POLICY = { rules: { 1: { cn: '.example.com' } } };
const LOOPBACK = 1;
const TAUGHT = '198.51.100.7';
const LARGEST = 4096;
const TXT = 16;

attach('l7egg_learn', 'ingress');
attach('l7egg_query', 'egress');
const [client, stub] = [createSocket('udp4'), createSocket('udp4')];
after(() => {
  for (const socket of [client, stub]) socket.close();
});

/* As the kernel has it; a filter goes with the namespace. */
function attach(name: string, direction: Direction): void {
  const program = datapath.state.program(name);
  if (hasTcx()) {
    const link = attachTcx(program, LOOPBACK, direction);
    after(() => link.close());
    return;
  }
  addClsact(LOOPBACK);
  attachFilter(program, { ifindex: LOOPBACK, direction, priority: 1, handle: 1 });
}

beforeEach(async () => {
  await datapath.ensure(POLICY);
  datapath.trust([STUB, DNS_PORT]);
});

/** An answer of exactly so many bytes: an A, and a TXT that fills it. */
function answerOf(bytes: number): Uint8Array {
  const short = answer({ answers: [aRecord(TAUGHT), record(QUERIED, TXT, [])] });
  return answer({ answers: [aRecord(TAUGHT), record(QUERIED, TXT, Array(bytes - short.length).fill(0))] });
}

async function exchange(payload: Uint8Array): Promise<void> {
  await bind(stub, DNS_PORT, STUB);
  await bind(client, 0, '127.0.0.1');
  const asked = once(stub, 'message');
  client.send(query(), DNS_PORT, STUB);
  await asked;
  const answered = once(client, 'message');
  stub.send(payload, client.address().port, '127.0.0.1');
  await answered;
}

const bound = new Set<Socket>();
async function bind(socket: Socket, port: number, address: string): Promise<void> {
  if (bound.has(socket)) return;
  bound.add(socket);
  await new Promise<void>((resolve) => socket.bind(port, address, resolve));
}

const SIZES: readonly (readonly [bytes: number, isTaught: boolean, events: readonly string[]])[] = [
  [512, true, ['learned']],
  [LARGEST, true, ['learned']],
  [LARGEST + 1, false, ['size']],
  [20_000, false, ['size']],
];
for (const [bytes, isTaught, events] of SIZES) {
  test(`an answer of ${bytes} bytes ${isTaught ? 'teaches' : 'is left to user space'}`, async () => {
    await exchange(answerOf(bytes));
    assert.equal(datapath.leases(TAUGHT).length > 0, isTaught);
    assert.deepEqual(
      datapath.dnsEvents().map(({ reason, unparsed }) => unparsed ?? reason),
      events,
    );
  });
}
