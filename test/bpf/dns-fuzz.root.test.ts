import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOST_POLICY } from '../../src/datapath/compile.ts';
import { listLearned } from '../../src/datapath/learned.ts';
import { encodeStruct, placeOf } from '../../src/datapath/struct.ts';
import { decodeAnswer } from '../../src/dns/decode-answer.ts';
import { leaseSeconds } from '../../src/dns/lease.ts';
import { readName } from '../../src/dns/wire-name.ts';
import { bootTimeNs } from '../../src/libbpf/clock.ts';
import { isInward } from '../../src/policy/inward.ts';
import { generateExchange, makeRng } from '../dns/synthesize.ts';
import { ask, hear, RESOLVER4, RESOLVER6 } from './dns-exchange.ts';
import { fuzzSettings } from './fuzz-settings.ts';
import { useHarness } from './harness.ts';

const datapath = await useHarness('query', 'learn');
const { seed, rounds } = fuzzSettings(20_000);

/** Every name of the generator ends in one of these, each a rule. */
const TOP = ['com', 'example', 'test', 'gitlab', 'net'];
const RULES = Object.fromEntries(TOP.map((cn, index) => [index + 1, { cn, share: 8192 }]));
/** The kernel takes no test frame that is longer, with its headers. */
const LONGEST_FRAME = 3700;
const HEADERS = 14 + 40 + 8;

/** What an answer to a query teaches by the reference: rule and seconds of the lease by address in hex. */
function expectedLeases(query: Uint8Array, answer: Uint8Array): Map<string, string> {
  const asked = readName(query, 12);
  if (asked.status === 'refused') return new Map();
  const view = new DataView(query.buffer, query.byteOffset);
  const question = { id: view.getUint16(0), name: asked.name, qtype: view.getUint16(asked.end) };
  const decoded = decodeAnswer(answer, question);
  if (decoded.status === 'refused') return new Map();
  const rule = TOP.findIndex((cn) => asked.name.endsWith(cn)) + 1;
  const ttls = new Map<string, number>();
  for (const { addr, ttl } of decoded.addresses) {
    if (isInward(addr, [])) continue;
    const hex = Buffer.from(addr).toString('hex');
    ttls.set(hex, Math.max(ttls.get(hex) ?? 0, ttl));
  }
  return new Map([...ttls].map(([hex, ttl]) => [hex, `rule ${rule}, ${leaseSeconds(ttl)} s`]));
}

/** What the kernel says that it learned, and has, in the same form; the leases are over then. */
function takeLeases(told: readonly Uint8Array[], expected: ReadonlyMap<string, string>): Map<string, string> {
  const found = new Map<string, string>();
  for (const addr of told) {
    const hex = Buffer.from(addr).toString('hex');
    for (const { rule, seconds } of datapath.leases(addr).filter((lease) => lease.seconds > 0)) {
      // The clock may have turned since.
      const now = `rule ${rule}, ${seconds} s`;
      const before = `rule ${rule}, ${seconds + 1} s`;
      found.set(hex, expected.get(hex) === before ? before : now);
    }
    endLease(addr);
  }
  return found;
}

/* Not deleted: the record in the share of its rule would stay, and pass for that of the next lease. */
function endLease(addr: Uint8Array): void {
  const key = encodeStruct('host_key', { addr, policy: HOST_POLICY });
  const value = datapath.state.map('learned').get(key);
  if (!value) return;
  const [offset, size] = placeOf('leases', 'held');
  for (let at = offset; at < offset + size; at += 8) value.writeUInt32LE(0, at);
  datapath.state.map('learned').set(key, value);
}

function countLive(): number {
  const now = Number(bootTimeNs() / 1_000_000_000n);
  return listLearned(datapath.state).filter(({ leases }) => leases.some(({ endsAt }) => endsAt > now)).length;
}

test(`the kernel learns what decodeAnswer does from ${rounds} exchanges, seed ${seed}`, async (t) => {
  const rng = makeRng(seed);
  await datapath.apply({ rules: RULES });
  datapath.trust([RESOLVER4, 53], [RESOLVER6, 53]);
  const seen = { taught: 0, addresses: 0, nothing: 0, misled: 0, tooLong: 0, stricter: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const { query, answer } = generateExchange(rng);
    const exchange = { clientPort: 1024 + (round % 60_000), resolver: rng.pick([RESOLVER4, RESOLVER6]) };
    const isMisled = rng.oneIn(20);
    if (answer.length + HEADERS > LONGEST_FRAME) {
      seen.tooLong += 1;
      continue;
    }
    ask(datapath, exchange, 'query', query);
    hear(datapath, answer, isMisled ? { ...exchange, clientPort: 1 } : exchange);
    const events = datapath.dnsEvents();
    const replay = `round ${round}: query ${Buffer.from(query).toString('hex')}, answer ${Buffer.from(answer).toString('hex')}`;
    // Past the bounds of the kernel's parser nothing is learned, which it tells; then user space asks.
    const isLeft = events.some(({ unparsed }) => unparsed === 'steps');
    const expected = isMisled || isLeft ? new Map<string, string>() : expectedLeases(query, answer);
    const told = events.filter(({ reason }) => reason === 'learned').flatMap(({ addresses }) => addresses);
    assert.deepEqual(normal(takeLeases(told, expected)), normal(expected), replay);
    seen[isLeft ? 'stricter' : isMisled ? 'misled' : expected.size > 0 ? 'taught' : 'nothing'] += 1;
    seen.addresses += expected.size;
    const live = round % 2000 === 0 ? countLive() : 0;
    assert.equal(live, 0, `something was learned and not told, ${replay}`);
  }
  assert.equal(countLive(), 0, 'something was learned and not told');
  t.diagnostic(JSON.stringify(seen));
  // Else it would prove nothing.
  assert.ok(
    seen.taught > rounds / 3 && seen.nothing > rounds / 10 && seen.misled > rounds / 100,
    JSON.stringify(seen),
  );
  assert.ok(seen.stricter < rounds / 100 && seen.tooLong < rounds / 50, JSON.stringify(seen));
});

function normal(leases: ReadonlyMap<string, string>): string[] {
  return [...leases].map(([address, lease]) => `${address} ${lease}`).sort();
}
