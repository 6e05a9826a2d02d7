import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { PolicyFileError } from '../../src/errors.ts';
import { type ReadPolicies, readPolicies } from '../../src/formats/read-policies.ts';
import { judge } from '../../src/policy/judge.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { portText } from '../../src/policy/port.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { canonicalRule, type Rule } from '../../src/policy/rule.ts';
import { isByAddress } from '../../src/policy/who.ts';
import { makeRng, type Rng } from '../dns/rng.ts';
import { drawAddress, drawName, drawPolicy, drawTransport } from '../policy/rules-draw.ts';
import { judgeLookup, judgePacket, type PolicyTexts } from '../policy/rules-evaluator.ts';
import { fuzzSettings, residentMiB } from './fuzz-settings.ts';
import { mutateText } from './mutate-text.ts';
import { POLICY_TEXTS } from './policy-corpus.ts';

const { seed, rounds, progress } = fuzzSettings(1000);
const FILE = 'p.yaml';
/** For a text of 20,000 characters at most; what grows with its square takes longer. */
const SOON_MS = 5_000;
const PRESETS = ['npm', 'github', 'debian', 'docker'].map((name) =>
  readFileSync(new URL(`../../../src/presets/${name}.yaml`, import.meta.url), 'utf8'),
);

function replayOf(round: number, text: string): string {
  return `L7EGG_SEED=${seed} L7EGG_FUZZ=${rounds}, round ${round}: ${JSON.stringify(text)}`;
}

/** What a text says, or the lines of its error; anything else that is thrown is a failure. */
async function readOne(text: string, lenient: boolean): Promise<ReadPolicies | readonly string[]> {
  try {
    return await readPolicies([{ file: FILE, text }], { lenient });
  } catch (thrown) {
    if (thrown instanceof PolicyFileError) return thrown.lines;
    throw thrown;
  }
}

/** Each line names a place of the text, is one line, and says what. */
function checkLines(lines: readonly string[], text: string, replay: string): void {
  assert.ok(lines.length > 0, replay);
  const lineCount = text.split(/\r\n|\r|\n/u).length;
  for (const line of lines) {
    if (/^and \d+ errors more$/u.test(line)) continue;
    const [, row, column, what = ''] = /^p\.yaml:(\d+):(\d+): (.+)$/u.exec(line) ?? [];
    assert.ok(what.length > 3 && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(what), `${JSON.stringify(line)}, ${replay}`);
    assert.ok(Number(row) >= 1 && Number(row) <= lineCount && Number(column) >= 1, `${line}, ${replay}`);
  }
}

/** The same rules as a policy of our own kind; undefined for those that it has no words for. */
function ruleText({ who, action, ports }: Rule): object | undefined {
  if (action === 'lookup' || (who.kind === 'suffix' && who.suffix === '')) return undefined;
  // A port in a rule that denies names has no meaning there.
  if (action === 'deny' && !isByAddress(who) && ports.length > 0) return undefined;
  const limits = { action, ...(ports.length > 0 && { ports: ports.map(portText) }) };
  switch (who.kind) {
    case 'any':
      return limits;
    case 'prefix':
      return { ...limits, cidrs: [{ cidr: who.prefix.text, except: who.except.map(({ text }) => text) }] };
    case 'suffix':
      return { ...limits, suffixes: [who.suffix] };
    case 'exact':
      return { ...limits, names: [who.name] };
    case 'pattern':
      return { ...limits, names: [who.pattern] };
    default:
      return who satisfies never;
  }
}

/** Rules written as a policy of our own kind say the same when they are read again. */
async function checkRewritten(rules: readonly Rule[], replay: string): Promise<void> {
  const texts = rules.map(ruleText);
  const written = { apiVersion: 'l7egg/v1', kind: 'EgressPolicy', rules: texts.filter((text) => text) };
  const again = await readOne(JSON.stringify(written), false);
  assert.ok('parts' in again, `${JSON.stringify(again)}, ${replay}`);
  const expected = rules.filter((_, index) => texts[index]).map(canonicalRule);
  const got = again.parts.flatMap((part) => part.rules.map(canonicalRule));
  assert.deepEqual([...new Set(got)].sort(), [...new Set(expected)].sort(), replay);
}

test(`${rounds} mutated policy files end in policies or in errors with their places, seed ${seed}`, async (t) => {
  const rng = makeRng(seed);
  const sources = [...POLICY_TEXTS, ...PRESETS];
  const seen = { taken: 0, refused: 0, rules: 0, slowestMs: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const text = mutateText(rng, sources[rng.below(sources.length)] ?? '', sources);
    const replay = replayOf(round, text);
    const begun = performance.now();
    const answer = await readOne(text, rng.oneIn(2)).catch((cause: unknown) => {
      throw new Error(replay, { cause });
    });
    seen.slowestMs = Math.max(seen.slowestMs, Math.round(performance.now() - begun));
    assert.ok(seen.slowestMs < SOON_MS, `${seen.slowestMs} ms: ${replay}`);
    if ('parts' in answer) {
      const rules = answer.parts.flatMap((part) => part.rules);
      seen.taken += 1;
      seen.rules += rules.length;
      await checkRewritten(rules, replay);
    } else {
      seen.refused += 1;
      checkLines(answer, text, replay);
    }
    progress(round);
  }
  t.diagnostic(JSON.stringify({ seed, files: rounds, ...seen, residentMiB: residentMiB() }));
  assert.ok(seen.taken > rounds / 10 && seen.refused > rounds / 3, JSON.stringify(seen));
});

/** A drawn policy as a file of our own kind; it has no word for rules that only open lookups. */
function drawFile(rng: Rng): { texts: PolicyTexts; document: object } {
  const drawn = drawPolicy(rng);
  const texts = { ...drawn, audit: false, rules: drawn.rules.filter(({ action }) => action !== 'lookup') };
  const document = {
    apiVersion: 'l7egg/v1',
    kind: 'EgressPolicy',
    ...(texts.strict && { dns: 'strict' }),
    rules: texts.rules.map(({ action, cidr, except = [], cn, name, ports }) => ({
      action,
      ...(cidr !== undefined && { cidrs: [except.length > 0 ? { cidr, except } : cidr] }),
      ...(cn !== undefined && { suffixes: [cn] }),
      ...(name !== undefined && { names: [name] }),
      ...(ports.length > 0 && { ports }),
    })),
  };
  return { texts, document };
}

async function readPolicy(text: string, replay: string): Promise<Policy> {
  const answer = await readOne(text, false);
  assert.ok('parts' in answer, `${JSON.stringify(answer)}, ${replay}`);
  const [part] = answer.parts;
  const rules = part?.rules ?? [];
  return { rules, dns: part?.dns ?? 'open', audit: false, allowPrivateAnswers: false, inbound: 'all' };
}

const QUESTIONS = 20;

test(`${rounds} drawn policy files say of ${QUESTIONS} packets each what the evaluator says, seed ${seed}`, async (t) => {
  const rng = makeRng(seed);
  const seen: { [verdict: string]: number } = {};
  for (let round = 0; round < rounds; round += 1) {
    const { texts, document } = drawFile(rng);
    const text = rng.oneIn(2) ? JSON.stringify(document) : stringify(document);
    const replay = replayOf(round, text);
    const policy = await readPolicy(text, replay);
    for (let left = QUESTIONS; left > 0; left -= 1) {
      const to = drawAddress(rng, texts);
      const transport = drawTransport(rng, to);
      const names = rng.oneIn(3) ? [drawName(rng, texts)].filter((name) => name !== '') : [];
      const leased = names.flatMap((name) => leasesOf(texts, name));
      const expected = judgePacket(texts, { to, ...transport, leased });
      const { verdict, reason, rule } = judge(policy, { addr: parseAddress(to), ...transport, names });
      const question = `${to} ${JSON.stringify({ ...transport, names, expected })}, ${replay}`;
      assert.deepEqual([verdict, reason], [expected.verdict, expected.reason], question);
      const named = expected.rules.map((index) => sourceOf(index));
      assert.ok(rule === undefined ? named.length === 0 : named.includes(rule.source), question);
      seen[reason] = (seen[reason] ?? 0) + 1;
    }
    progress(round);
  }
  t.diagnostic(JSON.stringify({ seed, policies: rounds, ...seen }));
  const reasons = ['audit', 'deny-cidr', 'no-rule', 'port', 'rule-cidr', 'rule-name'];
  assert.deepEqual(Object.keys(seen).sort(), reasons);
});

/* As the file's own name for a rule that has none. */
function sourceOf(index: number): string {
  return `${FILE} rule ${index + 1}`;
}

/** Rules that an answer for the name gives a lease. */
function leasesOf(texts: PolicyTexts, name: string): readonly number[] {
  return judgeLookup({ ...texts, strict: false }, { name, qtype: 1, aliased: [] }).leasing;
}

test(`a key with another letter is refused wherever it stands in ${rounds} drawn policy files, seed ${seed}`, async () => {
  const rng = makeRng(seed);
  for (let round = 0; round < rounds; round += 1) {
    const { document } = drawFile(rng);
    const text = JSON.stringify(document);
    const keys = [...text.matchAll(/"(\w+)":/gu)];
    const key = keys[rng.below(keys.length)] ?? assert.fail();
    const at = key.index + 1 + rng.below(key[1]?.length ?? 0);
    const letter = rng.pick(['x', 'S', '-', 'е']);
    const mutated = text.slice(0, at) + letter + text.slice(at + 1);
    if (mutated === text) continue;
    const answer = await readOne(mutated, true);
    assert.ok(!('parts' in answer), replayOf(round, mutated));
    checkLines(answer, mutated, replayOf(round, mutated));
    progress(round);
  }
});
