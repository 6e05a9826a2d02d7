import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeAnswer } from '../../src/dns/decode-answer.ts';
import { leaseSeconds } from '../../src/dns/lease.ts';
import { readName } from '../../src/dns/wire-name.ts';
import { isInward } from '../../src/policy/inward.ts';
import { generateExchange, makeRng, type Rng } from '../dns/synthesize.ts';
import { fuzzSettings, residentMiB } from '../fuzz/fuzz-settings.ts';
import { DnsCarrier, type Ends } from './dns-carrier.ts';
import { RESOLVER4, RESOLVER6 } from './dns-exchange.ts';
import { DnsOracle, type Opinion } from './dns-oracle.ts';
import { useHarness } from './harness.ts';
import { LeaseBook } from './lease-book.ts';

const datapath = await useHarness('query', 'learn');
const { seed, rounds, progress } = fuzzSettings(200_000);

/** Every name of the generator ends in one of these, each a rule. */
const TOP = ['com', 'example', 'test', 'gitlab', 'net'];
const SHARE = 8192;
const RULES = Object.fromEntries(TOP.map((cn, index) => [index + 1, { cn, share: SHARE }]));
/** Rounds between two looks at the map of leases; they stay within the rules' shares. */
const BATCH = 1000;
/** One of so many messages is read by dnspython, too. */
const ORACLE_SHARE = 8;

/** A round as far as it is needed to judge it later. */
interface Played {
  readonly round: number;
  readonly query: Uint8Array;
  readonly answer: Uint8Array;
  /** Hex of the addresses that the kernel says it learned, and that decodeAnswer reads, inward ones too. */
  readonly told: readonly string[];
  readonly decoded: readonly string[];
  /** In a word what became of it. */
  readonly outcome: string;
}

const seen = new Map<string, number>();
const count = (what: string, by = 1) => seen.set(what, (seen.get(what) ?? 0) + by);
const seenOf = (what: string) => seen.get(what) ?? 0;

/** Once in a while an answer comes that fits the query in all but one thing; it teaches nothing. */
function mislead(rng: Rng, ends: Ends): Ends {
  if (ends.l4Proto === 6 && rng.oneIn(2))
    return { ...ends, sequence: (ends.sequence ^ (1 << rng.below(32))) >>> 0 };
  if (rng.oneIn(3)) return { ...ends, resolver: ends.resolver === RESOLVER4 ? RESOLVER6 : RESOLVER4 };
  return { ...ends, clientPort: 1 };
}

/** What an answer to a query teaches by the reference, inward addresses left out, and what it is in a word. */
function readReference(query: Uint8Array, answer: Uint8Array) {
  const asked = readName(query, 12);
  if (asked.status === 'refused') return { outcome: 'unreadable query', rule: 0, leases: [], decoded: [] };
  const view = new DataView(query.buffer, query.byteOffset);
  const question = { id: view.getUint16(0), name: asked.name, qtype: view.getUint16(asked.end) };
  const answered = decodeAnswer(answer, question);
  if (answered.status === 'refused') return { outcome: answered.reason, rule: 0, leases: [], decoded: [] };
  const decoded = answered.addresses.map(({ addr }) => Buffer.from(addr).toString('hex'));
  const leases = answered.addresses.flatMap(({ addr, ttl }, index) =>
    isInward(addr, []) ? [] : [{ address: decoded[index] ?? '', seconds: leaseSeconds(ttl) }],
  );
  const outcome = leases.length > 0 ? 'taught' : decoded.length > 0 ? 'inward' : 'no address';
  return { outcome, rule: TOP.findIndex((cn) => asked.name.endsWith(cn)) + 1, leases, decoded };
}

function replayOf({ round, query, answer, outcome }: Played): string {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  return `L7EGG_SEED=${seed} L7EGG_FUZZ=${Math.max(1000, round + 1)}, round ${round} (${outcome}): query ${hex(query)}, answer ${hex(answer)}`;
}

/** dnspython must have read whatever we took: its answers are those along the chain from the question. */
function compareWithOracle(played: Played, { status, addresses }: Opinion): void {
  count(`dnspython ${status}`);
  const loose = [...played.told, ...played.decoded].filter((address) => !addresses.has(address));
  // What it does not read at all, it says nothing of.
  const isLooser = loose.length > 0 && status !== 'odd';
  assert.equal(isLooser, false, `looser than dnspython (${status}) by ${loose}: ${replayOf(played)}`);
  if (status === 'answers' && played.told.length === 0) count(`stricter: ${played.outcome}`);
}

test(`the kernel learns what decodeAnswer does from ${rounds} exchanges, and no more than dnspython, seed ${seed}`, async (t) => {
  const rng = makeRng(seed);
  await datapath.apply({ rules: RULES });
  datapath.trust([RESOLVER4, 53], [RESOLVER6, 53]);
  const carrier = new DnsCarrier(datapath);
  using oracle = new DnsOracle();
  let pending = Promise.resolve();
  for (let round = 0; round < rounds; ) {
    const book = new LeaseBook(datapath);
    const batch: Played[] = [];
    for (const end = Math.min(rounds, round + BATCH); round < end; round += 1) {
      const played = playRound(rng, carrier, book, round);
      if (played) batch.push(played);
      progress(round);
    }
    await book.settle((address) => {
      const bytes = Buffer.from(address, 'hex');
      const wire = address.startsWith('00000000000000000000ffff') ? bytes.subarray(12) : bytes;
      return batch.filter(({ answer }) => Buffer.from(answer).includes(wire)).map(replayOf);
    });
    await pending;
    const shown = batch.filter(({ round: at }) => at % ORACLE_SHARE === 0);
    // It reads them while the next batch is played here.
    pending = oracle.ask(shown.map(({ answer }) => answer)).then((opinions) => {
      shown.forEach((played, index) => {
        compareWithOracle(played, opinions[index] ?? assert.fail());
      });
    });
    pending.catch(() => {}); // looked at with the next batch
  }
  await pending;
  const counts = Object.fromEntries([...seen].sort());
  t.diagnostic(JSON.stringify({ seed, rounds, ...counts, residentMiB: residentMiB() }));
  assertReached(counts);
});

function playRound(rng: Rng, carrier: DnsCarrier, book: LeaseBook, round: number): Played | undefined {
  const { query, answer } = generateExchange(rng);
  const isTcp = rng.oneIn(8);
  const ends: Ends = {
    resolver: rng.pick([RESOLVER4, RESOLVER6]),
    clientPort: 1024 + (round % 60_000),
    l4Proto: isTcp ? 6 : 17,
    sequence: isTcp ? rng.below(2 ** 32) : 0,
  };
  const heard = rng.oneIn(20) ? mislead(rng, ends) : ends;
  if (!DnsCarrier.takes(answer.length)) {
    count('too long');
    return undefined;
  }
  if (isTcp) carrier.connect(ends);
  carrier.ask(ends, query);
  // What comes in by TCP has bytes.
  if (!isTcp || answer.length > 0) carrier.hear(heard, answer);
  const events = datapath.dnsEvents();
  // Past the bounds of the kernel's parser nothing is learned, which it tells; then user space asks.
  const isLeft = events.some(({ unparsed }) => unparsed === 'steps');
  const { leases, rule, decoded, ...reference } = readReference(query, answer);
  const outcome = heard !== ends ? 'misled' : isLeft ? 'steps' : reference.outcome;
  const told = events
    .filter(({ reason }) => reason === 'learned')
    .flatMap(({ addresses }) => addresses.map((address) => Buffer.from(address).toString('hex')));
  const expected = outcome === 'taught' ? leases : [];
  book.expect(rule, expected);
  const played = { round, query, answer, told, decoded, outcome };
  const unasked = told.filter((address) => !expected.some((lease) => lease.address === address));
  assert.deepEqual(unasked, [], `learned ${replayOf(played)}`);
  count(outcome);
  count('addresses', expected.length);
  if (isTcp) count('by TCP');
  return played;
}

/** Else it would prove nothing. */
function assertReached(counts: { readonly [what: string]: number }): void {
  const told = JSON.stringify(counts);
  assert.ok(seenOf('taught') > rounds / 3 && seenOf('misled') > rounds / 100, told);
  assert.ok(seenOf('by TCP') > rounds / 16 && seenOf('steps') + seenOf('too long') < rounds / 40, told);
  const shown = rounds / ORACLE_SHARE;
  assert.ok(seenOf('dnspython answers') > shown / 8, told);
  assert.ok(seenOf('dnspython odd') < shown / 50 && seenOf('dnspython damaged') < shown / 10, told);
  // What we do not take though dnspython does, besides what was sent by the wrong way on purpose.
  const stricter = Object.entries(counts).filter(([what]) => /^stricter: (?!misled)/u.test(what));
  assert.ok(stricter.reduce((sum, [, times]) => sum + times, 0) < shown / 20, told);
}
