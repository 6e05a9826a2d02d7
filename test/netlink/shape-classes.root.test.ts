/*
 * Classes of one interface, told apart by skb->priority: near and far of shape-lab.ts, a wire for each table below.
 *
 * nft counts at the far end, each stream by its port. All are datagrams that fill a frame of their own, so the bytes
 * of IP and an Ethernet header for each packet are what was on the wire.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { classPriority, type ShapedClass, shapeInterface } from '../../src/netlink/shape.ts';
import { Scope } from '../../src/scope.ts';
import { Datagrams } from './datagrams.ts';
import { countPorts, readPorts, ShapeLab } from './shape-lab.ts';

interface Stream {
  readonly family: 'v4' | 'v6';
  /** Without one its packets are unclassified. */
  readonly minor?: number;
  readonly offered: number;
}

interface Group {
  readonly title: string;
  readonly expected: number;
  readonly streams: readonly Stream[];
}

interface Scene {
  readonly title: string;
  readonly classes: readonly ShapedClass[];
  readonly groups: readonly Group[];
}

const SCENES: readonly Scene[] = [
  {
    title: 'two classes and what has none',
    classes: [
      { minor: 2, rateBitsPerSecond: 1e6 },
      { minor: 0xfffe, rateBitsPerSecond: 10e6 },
    ],
    groups: [
      {
        title: 'class 2 has 1mbit for both families together',
        expected: 1e6,
        streams: [
          { family: 'v4', minor: 2, offered: 2e6 },
          { family: 'v6', minor: 2, offered: 2e6 },
        ],
      },
      {
        title: 'class 0xfffe has 10mbit',
        expected: 10e6,
        streams: [{ family: 'v6', minor: 0xfffe, offered: 13e6 }],
      },
      {
        title: 'all that is sent without a class arrives',
        expected: 30e6,
        streams: [
          { family: 'v4', offered: 15e6 },
          { family: 'v6', offered: 15e6 },
        ],
      },
      {
        title: 'so does what names a class that is not there',
        expected: 5e6,
        streams: [{ family: 'v4', minor: 4711, offered: 5e6 }],
      },
    ],
  },
  {
    title: 'a ceil above the rate, and nobody else sends',
    classes: [
      { minor: 2, rateBitsPerSecond: 1e6, ceilBitsPerSecond: 4e6 },
      { minor: 3, rateBitsPerSecond: 5e6 },
    ],
    groups: [
      { title: 'the class has its ceil', expected: 4e6, streams: [{ family: 'v4', minor: 2, offered: 6e6 }] },
    ],
  },
  {
    title: 'a ceil above the rate, and the other class sends all it may',
    classes: [
      { minor: 2, rateBitsPerSecond: 1e6, ceilBitsPerSecond: 4e6 },
      { minor: 3, rateBitsPerSecond: 5e6 },
    ],
    groups: [
      { title: 'the class has its rate', expected: 1e6, streams: [{ family: 'v4', minor: 2, offered: 6e6 }] },
      { title: 'and the other its own', expected: 5e6, streams: [{ family: 'v6', minor: 3, offered: 8e6 }] },
    ],
  },
];
const FIRST_PORT = 6001;
const SETTLE_MS = 1_500;
const WINDOW_MS = 5_000;

const lab = new ShapeLab();
const streams = SCENES.flatMap((scene) => {
  const wire = lab.addWire();
  shapeInterface(wire.ifindex, scene.classes);
  return scene.groups.flatMap((group) => group.streams.map((stream) => ({ stream, wire })));
}).map((each, index) => ({ ...each, port: FIRST_PORT + index }));
const arrived = new Map<Stream, number>();

before(async () => {
  using sending = new Scope();
  const ports = streams.map(({ port }) => port);
  countPorts(lab.far, ports);
  for (const { stream, wire, port } of streams) {
    const priority = stream.minor === undefined ? 0 : classPriority(stream.minor);
    sending.use(new Datagrams(wire[stream.family], { port, priority })).flood(stream.offered);
  }
  await pause(SETTLE_MS);
  const read = () => ({ at: performance.now(), counts: readPorts(lab.far) });
  const first = read();
  await pause(WINDOW_MS);
  const last = read();
  for (const { stream, port } of streams) {
    const bytes = (last.counts.get(port)?.bytes ?? 0) - (first.counts.get(port)?.bytes ?? 0);
    arrived.set(stream, (bytes * 8) / ((last.at - first.at) / 1000));
  }
});

for (const scene of SCENES) {
  describe(scene.title, () => {
    for (const { title, expected, streams: own } of scene.groups) {
      test(title, () => {
        const sum = own.reduce((all, stream) => all + (arrived.get(stream) ?? 0), 0);
        const percent = (sum / expected - 1) * 100;
        assert.ok(
          Math.abs(percent) < 5,
          `${Math.round(sum)} bit/s in place of ${expected}: ${percent.toFixed(2)} %`,
        );
      });
    }
  });
}
