import { parseAddress } from '../../src/policy/prefix.ts';
import type { Rng } from '../dns/rng.ts';
import {
  authenticationHeader,
  ethernet,
  fragmentHeader,
  fragments4,
  fragments6,
  inbound,
  ip,
  LOCAL4,
  LOCAL6,
  localFor,
  optionsHeader,
  outbound,
  routingHeader,
  wireAddress,
} from './frames.ts';
import {
  icmp,
  icmpv6,
  neighbourSolicitation,
  raw,
  type Segment,
  sctp,
  tcp,
  tcpData,
  udp,
} from './segments.ts';

/** Addresses as texts. */
export type Hosts = readonly [string, ...string[]];

const LOCAL_PORTS = [40_000, 40_000, 40_001, 22, 68, 546] as const;
/** Those of rules, and their neighbours. */
const REMOTE_PORTS = [443, 443, 443, 442, 444, 80, 450, 500, 501, 399, 53, 54, 67, 547] as const;

/** A packet to one of these hosts, or the fragments of one. */
export function drawPackets(rng: Rng, hosts: Hosts): Buffer[] {
  const to = rng.pick(hosts);
  const isIpv4 = !to.includes(':');
  const segment = drawSegment(rng, to);
  const hops = rng.pick([64, 64, 255, 1]);
  switch (rng.below(6)) {
    case 0: {
      const id = rng.below(4);
      const cuts = [8 * (1 + rng.below(6))].filter((cut) => cut < segment.bytes.length);
      const inside = rng.oneIn(3) ? [optionsHeader(60)] : [];
      return isIpv4
        ? fragments4(LOCAL4, to, segment, cuts, { id })
        : fragments6(LOCAL6, to, segment, cuts, { id, inside });
    }
    case 1:
      return [outbound(to, segment, { hops, options: drawOptions(rng), extensions: drawExtensions(rng) })];
    default:
      return [outbound(to, segment, { hops })];
  }
}

function drawSegment(rng: Rng, to: string): Segment {
  const ports = { from: rng.pick(LOCAL_PORTS), to: rng.pick(REMOTE_PORTS) };
  const back = ip(to, localFor(to), rng.pick([tcp, udp])({ from: ports.to, to: ports.from }));
  const echo = to.includes(':') ? icmpv6 : icmp;
  switch (rng.below(9)) {
    case 0:
    case 1:
      return tcp(ports);
    case 2:
      return tcpData({
        ...ports,
        flags: rng.pick(['PA', 'PA', 'SA', 'A', 'FA', 'R', 'SF', '']),
        options: Buffer.alloc(4 * rng.below(4), 1),
      });
    case 3:
      return udp(ports);
    case 4:
      return echo({
        type: rng.pick([0, 0, 8, 8, 3, 128, 129, 129, 131, 143]),
        identifier: rng.below(4),
        payload: rng.bytes(rng.below(40)),
      });
    case 5:
      return echo({ type: rng.pick([1, 3, 4, 11, 12]), payload: back });
    case 6:
      return neighbourSolicitation(parseAddress(LOCAL6));
    case 7:
      return sctp(ports);
    default:
      return raw(rng.below(256), rng.bytes(rng.below(60)));
  }
}

function drawOptions(rng: Rng): Buffer {
  const kinds = rng.pick([
    [1, 1, 1, 1],
    [131, 7, 4, 1, 2, 3, 4, 0],
    [131, 7, 8, 1, 2, 3, 4, 0],
    [68, 4, 5, 0],
    [7, 3, 4, 0],
  ]);
  return Buffer.from(rng.oneIn(4) ? rng.bytes(4 * rng.below(11)) : kinds);
}

function drawExtensions(rng: Rng) {
  return Array.from({ length: rng.below(4) }, () =>
    rng.pick([
      optionsHeader(0),
      optionsHeader(60, 1 + rng.below(3)),
      routingHeader(rng.below(2)),
      authenticationHeader(),
      fragmentHeader({ id: rng.below(4), at: rng.pick([0, 0, 24]), more: rng.oneIn(2) }),
    ]),
  );
}

/** Ethertypes of VLAN tags, seldom more than are read. */
export function drawTags(rng: Rng): number[] {
  return Array.from({ length: rng.pick([0, 0, 0, 1, 2, 3]) }, () => rng.pick([0x8100, 0x88a8]));
}

/** A packet of one of these hosts to this one, such as begins what is answered. */
export function drawArrival(rng: Rng, hosts: Hosts): Buffer {
  const from = rng.pick(hosts);
  const ports = { from: rng.pick(REMOTE_PORTS), to: rng.pick(LOCAL_PORTS) };
  const isIpv4 = !from.includes(':');
  switch (rng.below(6)) {
    case 0:
    case 1:
      return inbound(from, tcp({ ...ports, flags: rng.pick(['S', 'S', 'S', 'SA', 'A', 'A', 'R']) }));
    case 2:
      return inbound(from, udp(ports));
    case 3:
      return isIpv4 ? inbound(from, udp({ from: 67, to: 68 })) : inbound(from, udp(ports));
    default: {
      const echo = isIpv4 ? icmp : icmpv6;
      return inbound(from, echo({ type: rng.pick([isIpv4 ? 8 : 128, 0, 129]), identifier: rng.below(4) }));
    }
  }
}

/** About half of the frames stay as they are; the others differ in some bytes behind `from`, most of them of the headers. */
export function mutateFrame(rng: Rng, frame: Buffer, from: number): Buffer {
  if (!rng.oneIn(2)) return frame;
  let mutated = Buffer.from(frame);
  for (let left = 1 + rng.below(3); left > 0; left -= 1) {
    const at = rng.oneIn(3)
      ? rng.below(mutated.length)
      : from + rng.below(Math.min(60, mutated.length - from));
    mutated[at] = rng.pick([0, 0xff, (mutated[at] ?? 0) ^ (1 << rng.below(8)), rng.below(256)]);
  }
  if (rng.oneIn(6)) mutated = mutated.subarray(0, 14 + rng.below(mutated.length - 13));
  if (rng.oneIn(6)) mutated = Buffer.concat([mutated, rng.bytes(rng.below(40))]);
  return mutated;
}

/** Bytes of any kind behind a link-layer header, most with an ethertype and a version that are read. */
export function drawNoise(rng: Rng, hasLink: boolean): Buffer {
  const isIpv4 = rng.oneIn(2);
  const packet = rng.bytes(20 + rng.below(120));
  if (!rng.oneIn(4)) packet[0] = isIpv4 ? 0x40 | (5 + rng.below(11)) : 0x60;
  // To somewhere that is open, so that what is random is the rest.
  if (isIpv4 && rng.oneIn(2)) packet.set([0, packet.length], 2);
  if (isIpv4 && rng.oneIn(2)) packet.set(wireAddress(rng.pick(['198.51.100.7', '198.51.100.80'])), 16);
  return hasLink
    ? ethernet(packet, {
        tags: drawTags(rng),
        etherType: rng.pick([isIpv4 ? 0x0800 : 0x86dd, 0x0806, rng.below(65_536)]),
      })
    : Buffer.from(packet);
}
