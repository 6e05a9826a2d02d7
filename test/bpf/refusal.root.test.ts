import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  ethernet,
  fragments4,
  GATEWAY_MAC,
  type IpParts,
  LOCAL_MAC,
  LOCAL4,
  localFor,
  optionsHeader,
  outbound,
} from './frames.ts';
import { useHarness } from './harness.ts';
import { type ReadPacket, readFrame, readPacket } from './read-frame.ts';
import { CLIENT_PORT, icmp, icmpv6, raw, type Segment, sctp, tcp, udp, WEB_PORT } from './segments.ts';

const OTHER4 = '203.0.113.9';
const OTHER6 = '2001:db8:2::9';
const datapath = await useHarness('egress', 'egress_l3');

before(() => datapath.apply({}));

/** What is around the blocked packet. */
interface Around {
  readonly what: string;
  readonly tags?: readonly number[];
  readonly isRaw?: boolean;
  readonly parts4?: IpParts;
  readonly parts6?: IpParts;
}

const AROUND: readonly Around[] = [
  { what: 'Ethernet' },
  { what: 'a VLAN tag', tags: [0x8100] },
  { what: 'QinQ', tags: [0x88a8, 0x8100] },
  { what: 'no link layer', isRaw: true },
  {
    what: '40 bytes of options',
    parts4: { options: Buffer.alloc(40, 1) },
    parts6: { extensions: [optionsHeader(60, 5)] },
  },
  {
    what: 'options and a tag',
    tags: [0x8100],
    parts4: { options: Buffer.alloc(4, 1) },
    parts6: { extensions: [optionsHeader(0), optionsHeader(60)] },
  },
];

/** Refuses a packet and reads the answer, whose ends must be swapped on every layer. */
function refusalOf(
  to: string,
  segment: Segment,
  { tags = [], isRaw = false, parts4, parts6 }: Around,
): ReadPacket {
  const packet = outbound(to, segment, to.includes(':') ? parts6 : parts4);
  const { verdict, frame } = isRaw
    ? datapath.run('egress_l3', packet)
    : datapath.run('egress', ethernet(packet, { tags }));
  assert.equal(verdict, 'refuse');
  const link = isRaw ? undefined : readFrame(frame);
  const swapped = isRaw ? [] : [LOCAL_MAC, GATEWAY_MAC, tags];
  assert.deepEqual(link ? [link.toMac, link.fromMac, link.tags] : [], swapped);
  const answer = link ?? readPacket(frame);
  assert.deepEqual([answer.from, answer.to, answer.hops], [to, localFor(to), 64]);
  return answer;
}

function tcpFields({ l4Proto, l4 }: ReadPacket) {
  return {
    l4Proto,
    bytes: l4.length,
    from: l4.readUInt16BE(0),
    to: l4.readUInt16BE(2),
    sequence: l4.readUInt32BE(4),
    acknowledged: l4.readUInt32BE(8),
    dataOffset: l4.readUInt8(12) >> 4,
    flags: l4.readUInt8(13),
  };
}

const RST = 0x04;
const ACK = 0x10;
const SEQUENCE = 0xfffffffe;
/** RFC 9293 3.10.7.1: without ACK the reset acknowledges all that came, with ACK it takes its place. */
const RESETS: readonly (readonly [
  what: string,
  segment: Segment,
  sequence: number,
  acknowledged: number,
  flags: number,
])[] = [
  ['a SYN', tcp({ sequence: SEQUENCE }), 0, 0xffffffff, RST | ACK],
  ['a SYN with options', tcp({ sequence: 5, options: Buffer.alloc(20, 1) }), 0, 6, RST | ACK],
  ['a SYN with 3 bytes of data', tcp({ sequence: SEQUENCE, payload: Buffer.alloc(3) }), 0, 2, RST | ACK],
  ['a SYN and FIN', tcp({ sequence: 5, flags: 'SF' }), 0, 7, RST | ACK],
  ['data', tcp({ flags: 'PA', acknowledged: 0x89abcdef, payload: Buffer.alloc(1000) }), 0x89abcdef, 0, RST],
  ['SYN and ACK', tcp({ flags: 'SA', acknowledged: 77 }), 77, 0, RST],
  ['FIN and ACK', tcp({ flags: 'FA', acknowledged: 78 }), 78, 0, RST],
];

for (const around of AROUND) {
  for (const to of [OTHER4, OTHER6]) {
    for (const [what, segment, sequence, acknowledged, flags] of RESETS) {
      test(`refused ${what} to ${to} in ${around.what} is answered with a reset`, () => {
        assert.deepEqual(tcpFields(refusalOf(to, segment, around)), {
          l4Proto: 6,
          bytes: 20,
          from: WEB_PORT,
          to: CLIENT_PORT,
          sequence,
          acknowledged,
          dataOffset: 5,
          flags,
        });
      });
    }
  }
}

const PROHIBITED: readonly (readonly [what: string, to: string, segment: Segment])[] = [
  ['UDP', OTHER4, udp()],
  ['UDP of 1,000 bytes', OTHER4, udp({ payload: Buffer.alloc(1000, 7) })],
  ['UDP without data', OTHER4, udp({ payload: Buffer.alloc(0) })],
  ['an echo request', OTHER4, icmp({ type: 8, identifier: 3 })],
  ['SCTP', OTHER4, sctp()],
  ['GRE', OTHER4, raw(47)],
  ['UDP', OTHER6, udp()],
  ['UDP of 1,000 bytes', OTHER6, udp({ payload: Buffer.alloc(1000, 7) })],
  ['UDP without data', OTHER6, udp({ payload: Buffer.alloc(0) })],
  ['an echo request', OTHER6, icmpv6({ type: 128, identifier: 3 })],
  ['SCTP', OTHER6, sctp()],
  ['GRE', OTHER6, raw(47)],
];

for (const around of AROUND) {
  for (const [what, to, segment] of PROHIBITED) {
    test(`refused ${what} to ${to} in ${around.what} is answered administratively prohibited`, () => {
      const { l4Proto, l4 } = refusalOf(to, segment, around);
      const isIpv4 = to === OTHER4;
      assert.deepEqual([l4Proto, l4[0], l4[1], l4.readUInt32BE(4)], isIpv4 ? [1, 3, 13, 0] : [58, 1, 1, 0]);
      const quote = l4.subarray(8);
      const header = isIpv4 ? 20 : 40;
      const sent = outbound(to, segment);
      assert.equal(quote.length, header + 8);
      assert.deepEqual(quote.subarray(header), sent.subarray(header, header + 8), 'ports of the quote');
      // Addresses and protocol, by which the socket is found.
      const ends = isIpv4 ? ([9, 10, 12, 20] as const) : ([6, 7, 8, 40] as const);
      assert.deepEqual(
        quote.subarray(ends[0], ends[1]),
        sent.subarray(ends[0], ends[1]),
        'protocol of the quote',
      );
      assert.deepEqual(
        quote.subarray(ends[2], ends[3]),
        sent.subarray(ends[2], ends[3]),
        'addresses of the quote',
      );
    });
  }
}

const SILENT: readonly (readonly [what: string, to: string, segment: Segment])[] = [
  ['RST', OTHER4, tcp({ flags: 'R' })],
  ['RST and ACK', OTHER6, tcp({ flags: 'RA' })],
  ['ICMP error', OTHER4, icmp({ type: 3, payload: Buffer.alloc(28) })],
  ['echo reply', OTHER4, icmp({ type: 0 })],
  ['ICMPv6 error', OTHER6, icmpv6({ type: 1, payload: Buffer.alloc(48) })],
  ['multicast', '224.0.0.251', udp()],
  ['broadcast', '255.255.255.255', udp()],
  ['multicast', 'ff02::fb', udp()],
];
for (const [what, to, segment] of SILENT) {
  test(`refused ${what} to ${to} is not answered`, () => {
    assert.equal(datapath.send('egress', outbound(to, segment)), 'drop');
    assert.deepEqual(datapath.counters(), { refused: 1 });
  });
}

test('a refused first fragment is answered, a later one is not', () => {
  const [first, later] = fragments4(LOCAL4, OTHER4, udp({ payload: Buffer.alloc(100) }), [64]);
  assert.ok(first && later);
  const { verdict, frame } = datapath.run('egress', ethernet(first));
  assert.equal(verdict, 'refuse');
  assert.equal(readFrame(frame).l4Proto, 1);
  assert.equal(datapath.send('egress', later), 'drop');
});

test('answers are counted, ICMP beyond its rate is not sent and counted', () => {
  const verdicts = Array.from({ length: 1000 }, () => datapath.send('egress', outbound(OTHER4, udp())));
  const refused = verdicts.filter((verdict) => verdict === 'refuse').length;
  const { refused: counted, replies, replies_limited: limited } = datapath.counters();
  assert.equal(verdicts.includes('pass'), false);
  assert.deepEqual([counted, replies, limited], [1000, refused, 1000 - refused]);
  assert.ok(refused < 1000 && refused >= 1, `${refused} of 1,000 answered`);
});

test('resets have no rate', () => {
  const verdicts = Array.from({ length: 1000 }, () => datapath.send('egress', outbound(OTHER4, tcp())));
  assert.deepEqual([...new Set(verdicts)], ['refuse']);
});

test('refusals of one kind are one event in a second, by host, port and reason', () => {
  for (let round = 0; round < 5; round += 1) {
    datapath.send('egress', outbound(OTHER4, tcp()));
    datapath.send('egress', outbound(OTHER4, tcp({ to: 80 })));
    datapath.send('egress', outbound(OTHER6, tcp()));
  }
  assert.deepEqual(
    datapath
      .flowEvents()
      .map(({ verdict, reason, remotePort, count }) => [verdict, reason, remotePort, count]),
    [
      ['deny', 'no-rule', WEB_PORT, 1],
      ['deny', 'no-rule', 80, 1],
      ['deny', 'no-rule', WEB_PORT, 1],
    ],
  );
});
