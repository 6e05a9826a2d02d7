/*
 * Random policies, compiled as the enforcer does and put in force many at a time, each for a subject of its own; packets
 * and lookups of each are judged by the programs and by the naive evaluator, which must agree, also on rule and reason.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { HOST_POLICY } from '../../src/datapath/compile.ts';
import { encodeStruct, placeOf } from '../../src/datapath/struct.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { message, name as nameBytes, pointer, record, u16 } from '../dns/raw-message.ts';
import { makeRng, type Rng } from '../dns/rng.ts';
import { fuzzSettings, residentMiB } from '../fuzz/fuzz-settings.ts';
import {
  addressOf,
  drawAddress,
  drawName,
  drawPolicy,
  drawQtype,
  drawTransport,
} from '../policy/rules-draw.ts';
import {
  judgeLookup,
  judgePacket,
  numberOf,
  type PacketText,
  type PolicyTexts,
  takesInward,
} from '../policy/rules-evaluator.ts';
import { A, AAAA, ask, CNAME, hear } from './dns-exchange.ts';
import { LOCAL4, outbound } from './frames.ts';
import { useHarness } from './harness.ts';
import { OwnCgroup } from './own-cgroup.ts';
import { icmp, icmpv6, raw, sctp, tcp, udp } from './segments.ts';
import { isLegal, type PlacedPolicy, SubjectPolicies } from './subject-policies.ts';

const datapath = await useHarness('egress', 'learn');
const cgroup = new OwnCgroup('l7egg-rules-model');
after(() => cgroup.close());
const { seed, rounds, progress } = fuzzSettings(1000);

/** Policies that one swap puts in force; it waits for grace periods of the kernel. */
const BATCH = 50;
const LOOKUPS = 12;
const PACKETS = 24;
/** Of the host's policy, the one that learns from answers here, so many times as much is asked. */
const HOST_EFFORT = 8;
const RESOLVER = '192.0.2.53';

/** A policy in force, and what to say of it. */
interface Judged extends PlacedPolicy {
  readonly replay: string;
}

const seen = {
  lookups: 0,
  refusedLookups: 0,
  packets: 0,
  passed: 0,
  told: 0,
  leases: 0,
  answers: 0,
  tooMany: 0,
};
let fresh = 0;

test(`${rounds} random policies judge as the evaluator does, seed ${seed}`, async (t) => {
  const rng = makeRng(seed);
  const policies = new SubjectPolicies(datapath, cgroup);
  for (let round = 0; round < rounds; ) {
    const dnsPorts = rng.pick<readonly number[]>([[53], [53, 5353]]);
    const drawn = Array.from({ length: Math.min(BATCH, rounds - round) }, () => drawLegal(rng));
    for (const placed of await policies.apply(drawn, RESOLVER, dnsPorts)) {
      policies.judgeBy(placed.policyId);
      const replay = `L7EGG_SEED=${seed} L7EGG_FUZZ=${rounds}, policy ${round}: ${JSON.stringify(placed.texts)}`;
      checkPolicy(rng, { ...placed, replay });
      round += 1;
      progress(round);
    }
  }
  t.diagnostic(JSON.stringify({ seed, policies: rounds, ...seen, residentMiB: residentMiB() }));
  // Else it would prove nothing.
  const { lookups, refusedLookups, packets, passed, told, leases, answers, tooMany } = seen;
  assert.ok(refusedLookups > lookups / 10 && refusedLookups < lookups / 2, JSON.stringify(seen));
  assert.ok(passed > packets / 8 && passed < (packets * 2) / 3 && told > packets / 2, JSON.stringify(seen));
  assert.ok(leases > rounds && answers > 0 && tooMany < rounds / 20, JSON.stringify(seen));
});

/** A policy within the bounds of the kernel's tables. */
function drawLegal(rng: Rng): PolicyTexts {
  for (;;) {
    const texts = drawPolicy(rng);
    if (isLegal(texts)) return texts;
    seen.tooMany += 1;
  }
}

function checkPolicy(rng: Rng, placed: Judged): void {
  const leased = new Map<string, readonly number[]>();
  const aliases = new Map<string, readonly number[]>();
  const effort = placed.policyId === HOST_POLICY ? HOST_EFFORT : 1;
  for (let left = LOOKUPS * effort; left > 0; left -= 1) {
    const known = [...aliases.keys()];
    const name =
      known.length > 0 && rng.oneIn(4) ? (known[rng.below(known.length)] ?? '') : drawName(rng, placed.texts);
    const lookup = { name, qtype: drawQtype(rng), aliased: aliases.get(name) ?? [] };
    const leasing = checkLookup(placed, lookup);
    if (leasing.length === 0 || (lookup.qtype !== A && lookup.qtype !== AAAA)) continue;
    const { address, alias } = teach(rng, placed, name, lookup.qtype, leasing);
    const isLeased = !address.startsWith('10.') || takesInward(placed.texts, address);
    // An answer of user space is not looked at again: it has done that itself.
    leased.set(address, isLeased ? leasing : []);
    if (alias !== undefined) aliases.set(alias, leasing);
    checkLeases(placed, address, leased.get(address) ?? []);
  }
  const taught = [...leased.keys()];
  for (let left = PACKETS * effort; left > 0; left -= 1) {
    const isTaught = taught.length > 0 && rng.oneIn(3);
    const to = isTaught ? (taught[rng.below(taught.length)] ?? '') : drawAddress(rng, placed.texts);
    checkPacket(placed, { to, ...drawTransport(rng, to), leased: leased.get(to) ?? [] });
  }
  // At a port where it is not trusted it is like any other.
  const elsewhere = placed.dnsPorts.includes(5353) ? 54 : 5353;
  checkPacket(placed, { to: RESOLVER, l4Proto: 17, port: elsewhere, leased: [] });
}

/** From and to where a lookup went. */
interface Asked {
  readonly clientPort: number;
  readonly resolverPort: number;
}

let port = 0;
/** None that DHCP uses, so that no packet passes by that. */
const nextPort = () => 1024 + (port++ % 64_000);

/** Sends a query and compares its verdict, and the rules that wait for its answer; answers their positions. */
function checkLookup(
  placed: Judged,
  lookup: { name: string; qtype: number; aliased: readonly number[] },
): readonly number[] {
  const expected = judgeLookup(placed.texts, lookup);
  const clientPort = nextPort();
  const resolverPort = placed.dnsPorts[clientPort % placed.dnsPorts.length] ?? 53;
  const exchange = { resolver: RESOLVER, resolverPort, clientPort };
  // Ports come round again: of an earlier query nothing waits any more.
  datapath.state.map('pending_queries').delete(pendingKey(placed.policyId, exchange));
  const { verdict } = ask(datapath, exchange, 'egress', queryOf(lookup));
  const says = `${lookup.name} type ${lookup.qtype}, ${placed.replay}`;
  assert.equal(
    verdict === 'pass',
    expected.passes,
    `verdict ${verdict}, expected ${JSON.stringify(expected)}: ${says}`,
  );
  const event = datapath
    .dnsEvents()
    .find(({ reason }) => reason === 'dns-denied' || reason === 'dns-strict' || reason === 'dns-type');
  assert.equal(event?.reason ?? '', expected.reason, says);
  const waiting = pendingRules(placed.policyId, exchange);
  const wanted = expected.reason === '' ? expected.leasing.map((index) => placed.ruleIds[index] ?? 0) : [];
  assert.deepEqual(waiting.toSorted(byNumber), wanted.toSorted(byNumber), `rules that wait, ${says}`);
  seen.lookups += 1;
  if (expected.reason !== '') seen.refusedLookups += 1;
  last = exchange;
  return expected.reason === '' ? expected.leasing : [];
}

let last: Asked = { clientPort: 0, resolverPort: 0 };
const ID = 0x1234;

function questionOf({ name, qtype }: { name: string; qtype: number }): number[] {
  return [...nameBytes(name === '' ? '.' : name), ...u16(qtype), 0, 1];
}

function queryOf(lookup: { name: string; qtype: number }): Uint8Array {
  return message({ id: ID, flags: 0x0100, question: questionOf(lookup) });
}

function pendingKey(policyId: number, { clientPort, resolverPort }: Asked): Buffer {
  const ends = { client: parseAddress(LOCAL4), resolver: parseAddress(RESOLVER) };
  const ports = { client_port_be: clientPort, resolver_port_be: resolverPort, query_id_be: ID };
  return encodeStruct('pending_key', { ...ends, ...ports, policy: policyId, l4_proto: 17 });
}

function pendingRules(policyId: number, asked: Asked): number[] {
  const value = datapath.state.map('pending_queries').get(pendingKey(policyId, asked));
  if (!value) return [];
  const [at, bytes] = placeOf('pending', 'rules');
  return Array.from({ length: bytes / 4 }, (_, index) => value.readUInt32LE(at + 4 * index)).filter(
    (id) => id > 0,
  );
}

/**
 * Answers the lookup with an address that nobody had yet. The host's policy learns it from the answer, some behind a
 * CNAME; answers to other subjects come in by the hooks of their cgroups, so they are taught as user space does it.
 */
function teach(
  rng: Rng,
  placed: Judged,
  name: string,
  qtype: number,
  leasing: readonly number[],
): { address: string; alias?: string } {
  fresh += 1;
  const isIpv4 = qtype === A;
  const isHost = placed.policyId === HOST_POLICY;
  const inward = isIpv4 && isHost && rng.oneIn(4);
  const base = isIpv4 ? numberOf(inward ? '10.0.0.0' : '45.0.0.0') : numberOf('2001:db8::');
  // Odd times a number modulo a power of two: each once.
  const address = addressOf(base + ((BigInt(fresh) * 0x9e3779b1n) & 0xff_ffffn), isIpv4);
  if (!isHost) {
    datapath.teachAs(
      placed.policyId,
      leasing.map((index) => placed.ruleIds[index] ?? 0),
      [address],
    );
    return { address };
  }
  seen.answers += 1;
  const bytes = [...parseAddress(address).subarray(isIpv4 ? 12 : 0)];
  const alias = rng.oneIn(2)
    ? `t${fresh}.${rng.pick(['b.test', 'elsewhere.net', 'example.com'])}`
    : undefined;
  const answers =
    alias === undefined
      ? [record(pointer(12), qtype, bytes)]
      : [record(pointer(12), CNAME, nameBytes(alias)), record(nameBytes(alias), qtype, bytes)];
  const payload = message({ id: ID, question: questionOf({ name, qtype }), answers });
  hear(datapath, payload, { resolver: RESOLVER, ...last });
  datapath.events();
  return { address, ...(alias !== undefined && { alias }) };
}

function checkLeases(
  { policyId, ruleIds, replay }: Judged,
  address: string,
  expected: readonly number[],
): void {
  const held = datapath.leases(address, policyId).map(({ rule }) => rule);
  const wanted = expected.map((index) => ruleIds[index] ?? 0).toSorted(byNumber);
  assert.deepEqual(held, wanted, `leases of ${address}, ${replay}`);
  seen.leases += wanted.length;
}

function checkPacket({ texts, ruleIds, replay }: Judged, packet: PacketText): void {
  const expected = judgePacket(texts, packet);
  const passes = datapath.send('egress', outbound(packet.to, segmentOf(packet))) === 'pass';
  const events = datapath.flowEvents().filter(({ reason }) => reason !== 'ended');
  const says = `${JSON.stringify(packet)}, expected ${JSON.stringify(expected)}, told ${JSON.stringify(events.map(({ verdict, reason, ruleId }) => ({ verdict, reason, ruleId })))}, ${replay}`;
  assert.equal(passes, expected.passes, `passes: ${passes}, ${says}`);
  seen.packets += 1;
  if (passes) seen.passed += 1;
  const [event] = events;
  // What has no ports, and the same address, is of a flow that an earlier policy may have allowed: that is told instead.
  if (!event || event.reason === 'withdrawn') return;
  seen.told += 1;
  assert.deepEqual([event.verdict, event.reason], [expected.verdict, expected.reason], says);
  const named = expected.rules.map((index) => ruleIds[index] ?? 0);
  assert.ok(named.length === 0 ? event.ruleId === 0 : named.includes(event.ruleId), says);
}

function segmentOf({ l4Proto, port: to }: PacketText) {
  const from = nextPort();
  switch (l4Proto) {
    case 1:
      return icmp({ type: to, identifier: from });
    case 58:
      return icmpv6({ type: to, identifier: from });
    case 6:
      return tcp({ from, to });
    case 17:
      return udp({ from, to });
    case 132:
      return sctp({ from, to });
    default:
      return raw(l4Proto);
  }
}

function byNumber(a: number, b: number): number {
  return a - b;
}
