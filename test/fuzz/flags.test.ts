import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMAND_NAMES } from '../../src/cli/commands.ts';
import { FLAGS } from '../../src/cli/flags.ts';
import { normaliseArgs } from '../../src/cli/normalise.ts';
import { parseOptions } from '../../src/cli/options.ts';
import { UsageError } from '../../src/errors.ts';
import { makeRng, type Rng } from '../dns/rng.ts';
import { fuzzSettings } from './fuzz-settings.ts';
import { mutateText } from './mutate-text.ts';

const { seed, rounds, progress } = fuzzSettings(30_000);
const SOON_MS = 2_000;
const HUGE = 100_000;

/** Values that some flag takes. */
const VALUES: readonly [string, ...string[]] = [
  'eth0',
  '*',
  '10.0.0.0/8',
  '2001:db8::/32',
  '192.0.2.1',
  '.example.com',
  'www.example.com',
  '**.api-*.example.com',
  '443',
  '443/tcp',
  '8000-8100/udp',
  'icmp',
  'icmp:8',
  'proto:47',
  'policy.yaml',
  'npm,github',
  'strict',
  'open',
  'cgroup',
  'tc',
  '1mbit',
  '500kbit',
  'unit:a.service',
  'pid:1',
  'name=web',
  'app=web',
  'json',
  'true',
  'false',
  '[::1]:9090',
  '127.0.0.1:0',
  '10m',
  '2026-01-31T08:30Z',
  'default',
  'deny',
];

function drawValue(rng: Rng): string {
  const value = rng.pick(VALUES);
  switch (rng.below(4)) {
    case 0:
      return mutateText(rng, value, VALUES);
    case 1:
      return rng.oneIn(50) ? value.repeat(HUGE / value.length) : `${value},${rng.pick(VALUES)}`;
    default:
      return value;
  }
}

function drawName(rng: Rng): string {
  const name = FLAGS[rng.below(FLAGS.length)]?.name ?? '';
  if (rng.oneIn(8)) return mutateText(rng, name, VALUES);
  return name;
}

/* The kernel hands over arguments without NUL, and lone surrogates never come out of its bytes. */
function clean(argument: string): string {
  return Buffer.from(argument.replaceAll('\0', '')).toString();
}

function drawArgv(rng: Rng): string[] {
  const argv = rng.oneIn(3)
    ? []
    : [rng.oneIn(10) ? drawValue(rng) : (COMMAND_NAMES[rng.below(COMMAND_NAMES.length)] ?? '')];
  for (let left = rng.below(6); left > 0; left -= 1) {
    const flag = `${rng.pick(['-', '--'])}${drawName(rng)}`;
    const kind = rng.below(8);
    if (kind < 5) argv.push(`${flag}=${drawValue(rng)}`);
    else if (kind === 5) argv.push(flag, drawValue(rng));
    else if (kind === 6) argv.push(flag);
    else argv.push(rng.oneIn(3) ? '--' : drawValue(rng));
  }
  return argv.map(clean);
}

/** What it says quotes an argument, a part of one, names the flag that it is about, or counts what is too long to quote. */
function quotes(text: string, argv: readonly string[]): boolean {
  const words = argv.flatMap((argument) => argument.split(/[=,]/u)).filter((word) => word.length > 1);
  return words.some((word) => text.includes(word)) || /"|-[a-z]|\d+ characters/u.test(text);
}

test(`${rounds} random command lines end in options or in a UsageError, seed ${seed}`, (t) => {
  const rng = makeRng(seed);
  const seen = { taken: 0, refused: 0, slowestMs: 0 };
  for (let round = 0; round < rounds; round += 1) {
    const argv = drawArgv(rng);
    const replay = `L7EGG_SEED=${seed} L7EGG_FUZZ=${Math.max(1000, round + 1)}: ${JSON.stringify(argv).slice(0, 2000)}`;
    const begun = performance.now();
    try {
      parseOptions(normaliseArgs(argv, FLAGS));
      seen.taken += 1;
    } catch (thrown) {
      if (!(thrown instanceof UsageError)) throw new Error(replay, { cause: thrown });
      assert.ok(quotes(thrown.message, argv), `${thrown.message}: ${replay}`);
      seen.refused += 1;
    }
    seen.slowestMs = Math.max(seen.slowestMs, Math.round(performance.now() - begun));
    assert.ok(seen.slowestMs < SOON_MS, `${seen.slowestMs} ms: ${replay}`);
    progress(round);
  }
  t.diagnostic(JSON.stringify({ seed, lines: rounds, ...seen }));
  assert.ok(seen.taken > rounds / 20 && seen.refused > rounds / 2, JSON.stringify(seen));
});

test(`a flag with another name is never taken, ${rounds} of them, seed ${seed}`, () => {
  const rng = makeRng(seed);
  const names = new Set(FLAGS.flatMap(({ name, alias = name }) => [name, alias]));
  for (let round = 0; round < rounds; round += 1) {
    const known = FLAGS[rng.below(FLAGS.length)]?.name ?? '';
    const name = clean(mutateText(rng, known, [...names])).replaceAll('=', '');
    if (name === '' || name === '-' || names.has(name) || names.has(name.replace(/^-/u, ''))) continue;
    assert.throws(() => normaliseArgs([`-${name}=1`], FLAGS), UsageError, JSON.stringify(name));
  }
});
