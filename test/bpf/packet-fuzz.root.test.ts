import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setOwnAddresses } from '../../src/datapath/host-facts.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { makeRng, type Rng } from '../dns/rng.ts';
import { fuzzSettings } from '../fuzz/fuzz-settings.ts';
import {
  authenticationHeader,
  ethernet,
  fragmentHeader,
  fragments4,
  fragments6,
  ip,
  LOCAL4,
  LOCAL6,
  localFor,
  optionsHeader,
  outbound,
  routingHeader,
  wireAddress,
} from './frames.ts';
import { useHarness } from './harness.ts';
import { PacketModel } from './packet-model.ts';
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

const datapath = await useHarness('egress');
const { seed, rounds } = fuzzSettings(50_000);

const OPEN = ['198.51.100.7', '2001:db8:1::7'];
const WEB_ONLY = ['198.51.100.80', '2001:db8:1::80'];
const HOSTS = [...OPEN, ...WEB_ONLY, '203.0.113.9', '2001:db8:2::9', '2001:db8::77', 'fe80::77', 'ff02::1'];
/** The least that the kernel takes of an untagged frame whose ethertype is IP's own. */
const LEAST = 14 + 40;

test(`whatever passes of ${rounds} mutated frames may pass by the model, seed ${seed}`, async (t) => {
  const rng = makeRng(seed);
  const allow = [
    ...OPEN.map((cidr) => ({ cidr })),
    ...WEB_ONLY.map((cidr) => ({ cidr, ports: ['443/tcp'] })),
  ];
  await datapath.apply({ rules: Object.fromEntries(allow.map((rule, index) => [index + 1, rule])) });
  setOwnAddresses(datapath.state, [{ ifindex: 1, address: parseAddress(LOCAL6), prefixLength: 64 }]);
  const hexOf = (address: string) => Buffer.from(wireAddress(address)).toString('hex');
  const model = new PacketModel({
    open: new Set(OPEN.map(hexOf)),
    webOnly: new Set(WEB_ONLY.map(hexOf)),
    onLink: hexOf(LOCAL6).slice(0, 16),
  });
  const seen = { pass: 0, drop: 0, refuse: 0, stricter: 0 };
  for (let round = 0; round < rounds; ) {
    for (const packet of drawPackets(rng)) {
      const frame = mutate(rng, ethernet(packet, { tags: drawTags(rng) }));
      const { verdict } = datapath.run('egress', frame);
      const mayPass = model.mayPass(frame);
      assert.ok(verdict !== 'pass' || mayPass, `round ${round} passed: ${frame.toString('hex')}`);
      if (verdict === 'pass') model.passed(frame);
      else if (mayPass) seen.stricter += 1;
      seen[verdict] += 1;
      round += 1;
    }
    if (round % 1000 < 3) datapath.events();
  }
  t.diagnostic(JSON.stringify(seen));
  // Else it would prove nothing.
  assert.ok(
    seen.pass > rounds / 10 && seen.drop > rounds / 10 && seen.refuse > rounds / 10,
    JSON.stringify(seen),
  );
  // The kernel bounds extension headers, and ends flows and fragments that the model remembers.
  assert.ok(seen.stricter < rounds / 50, JSON.stringify(seen));
});

/** A packet, or the fragments of one. */
function drawPackets(rng: Rng): Buffer[] {
  const to = HOSTS[rng.below(HOSTS.length)] ?? assert.fail();
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
  const ports = { from: rng.pick([40_000, 40_001, 68, 546]), to: rng.pick([443, 443, 80, 67, 547]) };
  const back = ip(to, localFor(to), tcp({ from: 443, to: 40_000 }));
  const echo = to.includes(':') ? icmpv6 : icmp;
  switch (rng.below(9)) {
    case 0:
    case 1:
      return tcp(ports);
    case 2:
      return tcpData({ ...ports, options: Buffer.alloc(4 * rng.below(4), 1) });
    case 3:
      return udp(ports);
    case 4:
      return echo({ type: rng.pick([0, 8, 3, 128, 129, 131, 143]), payload: rng.bytes(rng.below(40)) });
    case 5:
      return echo({ type: rng.pick([1, 3, 4, 11]), payload: back });
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

function drawTags(rng: Rng): number[] {
  return Array.from({ length: rng.pick([0, 0, 0, 1, 2, 3]) }, () => rng.pick([0x8100, 0x88a8]));
}

/** About half of the frames stay as they are; the others differ in some bytes, most of them of the headers. */
function mutate(rng: Rng, frame: Buffer): Buffer {
  let mutated = Buffer.from(frame);
  if (rng.oneIn(2)) {
    for (let left = 1 + rng.below(3); left > 0; left -= 1) {
      const at = rng.oneIn(3) ? rng.below(mutated.length) : 12 + rng.below(Math.min(60, mutated.length - 12));
      mutated[at] = rng.pick([0, 0xff, (mutated[at] ?? 0) ^ (1 << rng.below(8)), rng.below(256)]);
    }
    if (rng.oneIn(6)) mutated = mutated.subarray(0, 14 + rng.below(mutated.length - 13));
    if (rng.oneIn(6)) mutated = Buffer.concat([mutated, rng.bytes(rng.below(40))]);
  }
  return mutated.length < LEAST ? Buffer.concat([mutated, Buffer.alloc(LEAST - mutated.length)]) : mutated;
}
