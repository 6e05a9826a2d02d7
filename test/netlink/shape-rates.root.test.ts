/*
 * Rates as they are on the wire: near and far of shape-lab.ts, one wire for each measurement.
 *
 * Counted is at the far end, by the kernel, as whole frames with their Ethernet header. TSO of the near end is off, so
 * that joined packets are cut behind the qdisc: what is counted are segments each with its headers, as on a cable, and
 * the average length of a frame proves it. The qdisc gets joined packets all the same, TCP makes them anyhow.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { shapeInterface, UNCLASSIFIED_MINOR } from '../../src/netlink/shape.ts';
import { Scope } from '../../src/scope.ts';
import { Datagrams } from './datagrams.ts';
import { readReceived, ShapeLab, switchOffTso, type Wire } from './shape-lab.ts';

const RATES: readonly (readonly [name: string, bitsPerSecond: number])[] = [
  ['500kbit', 500e3],
  ['1mbit', 1e6],
  ['10mbit', 10e6],
  ['100mbit', 100e6],
];
const FAMILIES = ['v4', 'v6'] as const;
const PORT = 5001;
const FULL_FRAME_BYTES = 1514;
/* What socket and queue take at the start, before the rate is all that counts. */
const SETTLE_MS = 1_500;
const WINDOW_MS = 6_000;
/* Senders try more than passes. */
const OVERLOAD = 1.3;

const lab = new ShapeLab();

const SINK = `
  require('node:net').createServer((socket) => socket.on('error', () => {}).resume())
    .listen(${PORT}, '::', () => console.log('ready'));`;
const SENDERS = `
  const bytes = Buffer.alloc(1 << 18);
  for (const address of process.argv.slice(1)) {
    const socket = require('node:net').connect(${PORT}, address);
    const fill = () => { while (socket.write(bytes)); };
    socket.on('connect', fill).on('drain', fill);
  }`;

interface Flow {
  readonly wire: Wire;
  readonly family: (typeof FAMILIES)[number];
  readonly bitsPerSecond: number;
}

interface Measured {
  readonly bitsPerSecond: number;
  readonly frameBytes: number;
}

/* Both answer how to stop. */
function sendByTcp(flows: readonly Flow[]): () => Promise<unknown> {
  const addresses = flows.map(({ wire, family }) => wire[family]);
  const senders = lab.near.spawn(process.execPath, ['-e', SENDERS, ...addresses]);
  return () => senders.stop();
}

function sendByUdp(flows: readonly Flow[]): () => Promise<unknown> {
  const scope = new Scope();
  for (const { wire, family, bitsPerSecond } of flows) {
    scope.use(new Datagrams(wire[family], { port: PORT })).flood(bitsPerSecond * OVERLOAD);
  }
  return async () => scope.close();
}

/* All wires at the same time. */
async function measure(pid: number, wires: readonly Wire[]): Promise<Map<Wire, Measured>> {
  await pause(SETTLE_MS);
  const read = () => wires.map((wire) => ({ at: performance.now(), ...readReceived(pid, wire.farName) }));
  const first = read();
  await pause(WINDOW_MS);
  const last = read();
  return new Map(
    wires.map((wire, index) => {
      const [start, end] = [first[index], last[index]];
      assert.ok(start !== undefined && end !== undefined);
      const bytes = end.bytes - start.bytes;
      const bitsPerSecond = (bytes * 8) / ((end.at - start.at) / 1000);
      return [wire, { bitsPerSecond, frameBytes: bytes / (end.frames - start.frames) }];
    }),
  );
}

function assertRate(measured: number | undefined, expected: number): void {
  assert.ok(measured !== undefined);
  const percent = ((measured / expected - 1) * 100).toFixed(2);
  assert.ok(
    Math.abs(measured / expected - 1) < 0.05,
    `${Math.round(measured)} bit/s in place of ${expected}: ${percent} %`,
  );
}

for (const l4 of ['TCP', 'UDP'] as const) {
  describe(`what a whole interface sends by ${l4}`, () => {
    const flows = FAMILIES.flatMap((family) =>
      RATES.map(([name, bitsPerSecond]) => ({ family, name, bitsPerSecond, wire: lab.addWire() })),
    );
    let results = new Map<Wire, Measured>();

    before(async () => {
      for (const { wire, bitsPerSecond } of flows) {
        switchOffTso(wire);
        shapeInterface(wire.ifindex, [{ minor: UNCLASSIFIED_MINOR, rateBitsPerSecond: bitsPerSecond }]);
      }
      const sink = lab.far.spawn(process.execPath, ['-e', SINK]);
      await sink.waitForLine(/ready/, 5_000);
      const stop = l4 === 'TCP' ? sendByTcp(flows) : sendByUdp(flows);
      results = await measure(
        sink.pid,
        flows.map(({ wire }) => wire),
      );
      await stop();
      await sink.stop();
    });

    for (const { wire, name, family, bitsPerSecond } of flows) {
      test(`${name} over IP${family}`, () => {
        const measured = results.get(wire);
        assertRate(measured?.bitsPerSecond, bitsPerSecond);
        assert.ok((measured?.frameBytes ?? Number.NaN) <= FULL_FRAME_BYTES);
      });
    }
  });
}
