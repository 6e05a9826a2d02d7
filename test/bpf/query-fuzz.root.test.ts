/*
 * Queries to a trusted resolver, well-formed and not, by UDP and several in a TCP segment: those pass that an independent
 * reading finds well-formed and the naive evaluator lets be looked up, and no others.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeRng, type Rng } from '../dns/rng.ts';
import { fuzzSettings } from '../fuzz/fuzz-settings.ts';
import { judgeLookup, type PolicyTexts, type RuleText } from '../policy/rules-evaluator.ts';
import { framed, RESOLVER4, RESOLVER6 } from './dns-exchange.ts';
import { LONGEST_FRAME } from './frame-runner.ts';
import { ethernet, outbound } from './frames.ts';
import { useHarness } from './harness.ts';
import { tcp, udp } from './segments.ts';

const datapath = await useHarness('egress');
const { seed, rounds, progress } = fuzzSettings(20_000);

const LISTED: readonly RuleText[] = [
  { action: 'allow', cn: '.listed.test', ports: [] },
  { action: 'allow', name: 'exact.test', ports: [] },
  { action: 'allow', name: 'api-*.eu.test', ports: [] },
];
const DENIED: RuleText = { action: 'deny', name: '**.denied.listed.test', ports: [] };
/** Whether queries that can't be read pass: where no name is refused, there is none to hide. */
const POLICIES: readonly (readonly [what: string, texts: PolicyTexts, passesUnread: boolean])[] = [
  ['strict', policy([...LISTED, DENIED], true), false],
  ['a denied name', policy([...LISTED, DENIED], false), false],
  ['any name', policy(LISTED, false), true],
];

function policy(rules: readonly RuleText[], strict: boolean): PolicyTexts {
  return { rules, strict, audit: false, privateAnswers: false };
}

const NAMES = [
  'www.listed.test',
  'a.b.listed.test',
  'x.denied.listed.test',
  'denied.listed.test',
  'listed.test',
  'exact.test',
  'api-1.eu.test',
  'api-1.2.eu.test',
  'eu.test',
  'test',
  'other.example',
  'notlisted.test',
] as const;
const QTYPES = [1, 28, 1, 28, 65, 2, 6, 16, 255, 10, 65_400] as const;
/** Messages of a TCP segment that are read. */
const MOST_IN_SEGMENT = 4;

function drawLabel(rng: Rng, label: string): number[] {
  const bytes = [...label].map(
    (character) => character.charCodeAt(0) ^ (rng.oneIn(3) && /[a-z]/u.test(character) ? 0x20 : 0),
  );
  return [bytes.length, ...bytes];
}

function drawQuery(rng: Rng): Buffer {
  const name = rng.pick(NAMES);
  const labels = name.split('.');
  // Two labels of a listed name in one look like it as text, and are another name.
  if (rng.oneIn(12) && labels.length > 1) labels.splice(0, 2, `${labels[0]}.${labels[1]}`);
  if (rng.oneIn(12))
    labels.unshift(rng.pick(['\0', 'a\0b', '\u00ff\u00c4', 'x'.repeat(63), 'x'.repeat(64), ' ', '\n']));
  if (rng.oneIn(40)) labels.unshift(...Array.from({ length: 60 + rng.below(70) }, () => 'x'));
  const question = [...labels.flatMap((label) => drawLabel(rng, label)), 0];
  if (rng.oneIn(20)) question.splice(-1, 1, 0xc0, rng.pick([12, 0, 13]));
  const qtype = rng.pick(QTYPES);
  question.push(qtype >> 8, qtype & 0xff, 0, rng.oneIn(20) ? rng.below(256) : 1);
  const flags = rng.oneIn(15) ? rng.below(65_536) : 0x0100;
  const count = (usual: number) => (rng.oneIn(25) ? rng.below(3) : usual);
  const header = [
    0x12,
    rng.below(256),
    flags >> 8,
    flags & 0xff,
    0,
    count(1),
    0,
    count(0),
    0,
    count(0),
    0,
    count(1),
  ];
  const behind = rng.oneIn(3) ? [] : [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
  const query = Buffer.from([...header, ...question, ...behind]);
  if (rng.oneIn(5)) query[rng.below(query.length)] = rng.pick([0, 0x2e, 0x3f, 0x40, 0xc0, rng.below(256)]);
  return rng.oneIn(25) ? query.subarray(0, rng.below(query.length + 1)) : query;
}

/** Name and type of a query with one question, as RFC 1035 has it; undefined for all else. */
function readQuery(query: Buffer): { name: string; qtype: number } | undefined {
  if (query.length < 12) return undefined;
  const [, flags = 0, questions, answers, authorities] = Array.from({ length: 5 }, (_, index) =>
    query.readUInt16BE(2 * index),
  );
  if ((flags & 0xf800) !== 0 || questions !== 1 || answers !== 0 || authorities !== 0) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (;;) {
    const length = query[at];
    if (length === undefined || length > 63 || at + 1 + length > query.length) return undefined;
    at += 1;
    if (length === 0) break;
    const label = query.toString('latin1', at, at + length);
    if (/[.\0]/u.test(label)) return undefined;
    labels.push(label.replace(/[A-Z]/gu, (letter) => letter.toLowerCase()));
    at += length;
  }
  const isTooLong = at - 12 > 255;
  if (isTooLong || at + 4 > query.length || query.readUInt16BE(at + 2) !== 1) return undefined;
  return { name: labels.join('.'), qtype: query.readUInt16BE(at) };
}

describe(`${rounds} queries pass as they are read independently, seed ${seed}`, () => {
  for (const [what, texts, passesUnread] of POLICIES) {
    const share = Math.ceil(rounds / POLICIES.length);
    test(`${share} under a policy with ${what}`, async (t) => {
      await datapath.apply({ ...specOf(texts), strict: texts.strict });
      datapath.trust([RESOLVER4, 53], [RESOLVER6, 53]);
      const rng = makeRng(seed);
      const mayPass = (query: Buffer): boolean => {
        const read = readQuery(query);
        return read ? judgeLookup(texts, { ...read, aliased: [] }).passes : passesUnread;
      };
      const seen = { passed: 0, refused: 0, byTcp: 0, read: 0 };
      for (let round = 0; round < share; round += 1) {
        const { frame, isTcp, queries, isWhole } = drawFrame(rng);
        if (frame.length > LONGEST_FRAME) continue;
        const { verdict, frame: left } = datapath.run('egress', frame);
        // A refused segment goes on to the resolver as a reset, without what it asked.
        const passes = verdict === 'pass' && left.equals(frame);
        const expected = (isWhole || passesUnread) && queries.every(mayPass);
        const replay = `L7EGG_SEED=${seed} L7EGG_FUZZ=${rounds}, round ${round}: ${frame.toString('hex')}`;
        assert.equal(passes, expected, `${verdict}, expected ${expected ? 'pass' : 'a refusal'}: ${replay}`);
        seen[expected ? 'passed' : 'refused'] += 1;
        if (isTcp) seen.byTcp += 1;
        if (queries.some(readQuery)) seen.read += 1;
        if (round % 256 === 0) datapath.events();
        progress(round);
      }
      t.diagnostic(JSON.stringify({ seed, policy: what, queries: share, ...seen }));
      const { passed, refused, byTcp, read } = seen;
      const isRefusing = passesUnread ? refused === 0 : refused > share / 10;
      assert.ok(
        passed > share / 10 && isRefusing && byTcp > share / 8 && read > share / 3,
        JSON.stringify(seen),
      );
    });
  }
});

/** A frame to a resolver, the messages in it, and whether they are all of its payload. */
function drawFrame(rng: Rng): { frame: Buffer; isTcp: boolean; queries: Buffer[]; isWhole: boolean } {
  const to = rng.pick([RESOLVER4, RESOLVER6]);
  const from = 1024 + rng.below(60_000);
  if (!rng.oneIn(3)) {
    const query = drawQuery(rng);
    const frame = ethernet(outbound(to, udp({ from, to: 53, payload: query })));
    return { frame, isTcp: false, queries: [query], isWhole: true };
  }
  const flags = rng.oneIn(20) ? 'S' : 'PA';
  const queries = Array.from({ length: rng.pick([0, 1, 1, 2, 4, 5]) }, () => drawQuery(rng));
  const whole = Buffer.concat(queries.map(framed));
  const payload = rng.oneIn(12) ? whole.subarray(0, rng.below(whole.length + 1)) : whole;
  const frame = ethernet(outbound(to, tcp({ from, to: 53, flags, acknowledged: 7, payload })));
  const read = cutSegment(payload);
  const isWhole = payload.length === 0 || (flags === 'PA' && read !== undefined);
  return { frame, isTcp: true, queries: flags === 'PA' ? (read ?? []) : [], isWhole };
}

/** The messages of a segment; undefined when they are too many, or not whole. */
function cutSegment(payload: Buffer): Buffer[] | undefined {
  const messages: Buffer[] = [];
  for (let at = 0; at < payload.length; ) {
    const end = at + 2 <= payload.length ? at + 2 + payload.readUInt16BE(at) : payload.length + 1;
    if (end > payload.length || messages.length === MOST_IN_SEGMENT) return undefined;
    messages.push(payload.subarray(at + 2, end));
    at = end;
  }
  return messages;
}

function specOf({ rules }: PolicyTexts) {
  const specs = rules.map(({ action, cn, name }, index) => {
    const who =
      cn !== undefined ? { cn } : action === 'deny' ? { denyName: name ?? '' } : { name: name ?? '' };
    return [index + 1, { ...who, share: 64 }];
  });
  return { rules: Object.fromEntries(specs) };
}
