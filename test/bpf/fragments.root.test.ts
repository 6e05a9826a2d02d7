import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { encodeStruct } from '../../src/datapath/struct.ts';
import {
  type Extension,
  fragmentHeader,
  fragments4,
  fragments6,
  LOCAL4,
  LOCAL6,
  optionsHeader,
  outbound,
} from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import { raw, type Segment, tcp, udp } from './segments.ts';

const ALLOWED4 = '198.51.100.7';
const ALLOWED6 = '2001:db8:1::7';
const OTHER4 = '203.0.113.9';
const OTHER6 = '2001:db8:2::9';
const WEB_ONLY = '198.51.100.80';
const datapath = await useHarness('egress');

before(() =>
  datapath.apply({
    rules: { 1: { cidr: ALLOWED4 }, 2: { cidr: ALLOWED6 }, 3: { cidr: WEB_ONLY, ports: ['443/tcp'] } },
  }),
);

const LONG = udp({ payload: Buffer.alloc(56) });
const send = (packets: readonly Buffer[]): Verdict[] =>
  packets.map((packet) => datapath.send('egress', packet));
const four = (to: string, segment: Segment = LONG, cuts: readonly number[] = [24, 48], id = 1) =>
  fragments4(LOCAL4, to, segment, cuts, { id });
const six = (to: string, segment: Segment = LONG, cuts: readonly number[] = [24, 48], id = 1) =>
  fragments6(LOCAL6, to, segment, cuts, { id });

interface Row {
  readonly what: string;
  readonly packets: () => readonly Buffer[];
  readonly verdicts: readonly Verdict[];
}

/** The first fragment of one packet, then a later one of another. */
const mixed = (first: readonly Buffer[], later: readonly Buffer[]) => [
  ...first.slice(0, 1),
  ...later.slice(1, 2),
];
const refusedAll = ['refuse', 'drop', 'drop'] as const;
const passedAll = ['pass', 'pass', 'pass'] as const;
const ROWS: readonly Row[] = [
  { what: 'all of a packet to an allowed host', packets: () => four(ALLOWED4), verdicts: passedAll },
  { what: 'all of a packet to another', packets: () => four(OTHER4), verdicts: refusedAll },
  { what: 'all of an IPv6 packet to an allowed host', packets: () => six(ALLOWED6), verdicts: passedAll },
  { what: 'all of an IPv6 packet to another', packets: () => six(OTHER6), verdicts: refusedAll },
  {
    what: 'TCP to an allowed host',
    packets: () => four(ALLOWED4, tcp({ payload: LONG.bytes })),
    verdicts: passedAll,
  },
  {
    what: 'the last before the first',
    packets: () => four(ALLOWED4).reverse(),
    verdicts: ['drop', 'drop', 'pass'],
  },
  { what: 'later ones alone', packets: () => four(ALLOWED4).slice(1), verdicts: ['drop', 'drop'] },
  { what: 'later ones alone, IPv6', packets: () => six(ALLOWED6).slice(1), verdicts: ['drop', 'drop'] },
  {
    what: 'a later one with another id',
    packets: () => mixed(four(ALLOWED4), four(ALLOWED4, LONG, [24], 2)),
    verdicts: ['pass', 'drop'],
  },
  {
    what: 'a later one with another id, IPv6',
    packets: () => mixed(six(ALLOWED6), six(ALLOWED6, LONG, [24], 2)),
    verdicts: ['pass', 'drop'],
  },
  {
    what: 'a later one with another protocol',
    packets: () => mixed(four(ALLOWED4), four(ALLOWED4, raw(47, LONG.bytes))),
    verdicts: ['pass', 'drop'],
  },
  {
    what: 'a later one to another host',
    packets: () => mixed(four(ALLOWED4), four(OTHER4)),
    verdicts: ['pass', 'drop'],
  },
  {
    what: 'a later one from another address',
    packets: () => mixed(four(ALLOWED4), fragments4('192.0.2.11', ALLOWED4, LONG, [24], { id: 1 })),
    verdicts: ['pass', 'drop'],
  },
  {
    what: 'ports that no rule names',
    packets: () => four(WEB_ONLY, tcp({ to: 22, payload: LONG.bytes })),
    verdicts: refusedAll,
  },
  {
    what: 'a second first fragment that overlaps with ports no rule names',
    packets: () => [
      ...four(WEB_ONLY, tcp({ payload: LONG.bytes })).slice(0, 1),
      ...four(WEB_ONLY, tcp({ to: 22, payload: LONG.bytes })).slice(0, 1),
    ],
    verdicts: ['pass', 'refuse'],
  },
  {
    what: 'RFC 3128: a second TCP fragment over the flags',
    packets: () => [
      ...four(WEB_ONLY, tcp({ payload: LONG.bytes })).slice(0, 1),
      ...four(WEB_ONLY, tcp({ payload: LONG.bytes }), [8]).slice(1),
      ...four(WEB_ONLY, tcp({ payload: LONG.bytes }), [16]).slice(1),
      ...four(WEB_ONLY, tcp({ payload: LONG.bytes }), [24]).slice(1),
    ],
    verdicts: ['pass', 'drop', 'drop', 'pass'],
  },
  {
    what: 'the same in IPv6',
    packets: () => [
      ...six(ALLOWED6, tcp({ payload: LONG.bytes })).slice(0, 1),
      ...six(ALLOWED6, tcp({ payload: LONG.bytes }), [8]).slice(1),
      ...six(ALLOWED6, tcp({ payload: LONG.bytes }), [16]).slice(1),
      ...six(ALLOWED6, tcp({ payload: LONG.bytes }), [24]).slice(1),
    ],
    verdicts: ['pass', 'drop', 'drop', 'pass'],
  },
  {
    what: 'a first one of 8 bytes of TCP',
    packets: () => four(ALLOWED4, tcp(), [8]),
    verdicts: ['drop', 'drop'],
  },
  {
    what: 'a first one of 16 bytes of TCP',
    packets: () => four(ALLOWED4, tcp(), [16]),
    verdicts: ['drop', 'drop'],
  },
  {
    what: 'a first one that ends in the TCP options',
    packets: () => four(ALLOWED4, tcp({ options: Buffer.alloc(8, 1) }), [24]),
    verdicts: ['drop', 'drop'],
  },
  {
    what: 'a first one of 16 bytes of TCP in IPv6',
    packets: () => six(ALLOWED6, tcp(), [16]),
    verdicts: ['drop', 'drop'],
  },
  {
    what: 'a first one that ends before the UDP header, IPv6',
    packets: () => fragments6(LOCAL6, ALLOWED6, LONG, [8, 16], { inside: [optionsHeader(60)] }),
    verdicts: ['drop', 'drop', 'drop'],
  },
  {
    what: 'options inside the fragments, which later ones name as what they hold',
    packets: () => fragments6(LOCAL6, ALLOWED6, LONG, [24, 48], { inside: [optionsHeader(60)] }),
    verdicts: passedAll,
  },
  {
    what: 'the same to another host',
    packets: () => fragments6(LOCAL6, OTHER6, LONG, [24, 48], { inside: [optionsHeader(60)] }),
    verdicts: refusedAll,
  },
  {
    what: 'an atomic fragment admits nothing',
    packets: () => [
      outbound(ALLOWED6, LONG, { extensions: [fragmentHeader({ id: 1 })] }),
      ...six(ALLOWED6).slice(1),
    ],
    verdicts: ['pass', 'drop', 'drop'],
  },
  {
    what: 'a fragment header behind a fragment header',
    packets: () => {
      const extensions: Extension[] = [
        fragmentHeader({ id: 1, more: true }),
        fragmentHeader({ id: 2, at: 48 }),
      ];
      return [...six(ALLOWED6).slice(0, 1), outbound(ALLOWED6, LONG, { extensions })];
    },
    verdicts: ['pass', 'drop'],
  },
  {
    what: 'a later one whose fragment header is behind its end',
    packets: () => {
      const [first, later] = six(ALLOWED6, LONG, [24]);
      assert.ok(first && later);
      later.writeUInt16BE(2, 4);
      return [first, later];
    },
    verdicts: ['pass', 'drop'],
  },
  {
    what: 'a first one with its own end: not a fragment',
    packets: () => [...four(ALLOWED4, LONG, []), ...four(ALLOWED4).slice(1)],
    verdicts: ['pass', 'drop', 'drop'],
  },
];

for (const { what, packets, verdicts } of ROWS) {
  test(`fragments, ${what}: ${verdicts.join(', ')}`, () => assert.deepEqual(send(packets()), verdicts));
}

test('fragments: a refused later one is told as fragment', () => {
  send(four(ALLOWED4).slice(1, 2));
  assert.deepEqual(
    datapath.events().map(({ verdict, reason }) => [verdict, reason]),
    [['deny', 'fragment']],
  );
});

for (const [age, verdict] of [
  [29, 'pass'],
  [31, 'drop'],
  // Another CPU saw the first one a tick after this one read the clock.
  [-1, 'pass'],
] as const) {
  test(`fragments: ${age} s after the first a later one: ${verdict}`, () => {
    const [first, later] = four(ALLOWED4, LONG, [24]);
    assert.ok(first && later);
    assert.equal(datapath.send('egress', first), 'pass');
    datapath.age('fragments', age);
    assert.equal(datapath.send('egress', later), verdict);
  });
}

test('fragments of a reply to an inbound flow: pass, with the flow gone: not', () => {
  const key = (port: number) =>
    encodeStruct('flow_key', {
      local: Buffer.from('00000000000000000000ffffc000020a', 'hex'),
      remote: Buffer.from('00000000000000000000ffffcb007109', 'hex'),
      local_port_be: port,
      remote_port_be: 5000,
      policy: 1,
      l4_proto: 17,
    });
  const reply = (from: number, id: number) =>
    four(OTHER4, udp({ from, to: 5000, payload: Buffer.alloc(56) }), [24], id);
  datapath.state
    .map('inbound_new')
    .set(key(443), encodeStruct('inbound', { seen_ns: process.hrtime.bigint() }));
  assert.deepEqual(send(reply(443, 5)), ['pass', 'pass']);
  assert.deepEqual(send(reply(444, 6)), ['refuse', 'drop']);
});
