/*
 * A change of large policies: from what was parsed until it is in force, and what packets notice of it. A sender in a
 * tight loop sends to an address that every version allows and to one that none does; what its longest send took, next to
 * the longest while nothing is swapped, is the most for which a packet can have been without a verdict. Datagrams that
 * went where they should not, or did not where they should, are counted at the other end.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Pins } from '../../src/datapath/pins.ts';
import type { PoliciesInForce } from '../../src/enforcer/policies-in-force.ts';
import { RunDir } from '../../src/enforcer/run-dir.ts';
import { Shaper } from '../../src/enforcer/shaper.ts';
import { type SwapHost, swapPolicies, tidyUp } from '../../src/enforcer/swap.ts';
import { readPolicies } from '../../src/formats/read-policies.ts';
import { diffPolicies } from '../../src/policy/diff.ts';
import { Scope } from '../../src/scope.ts';
import { Harness } from '../bpf/harness.ts';
import type { Compiler } from './compile.ts';
import type { Report } from './report.ts';
import { lowerQuartile } from './statistics.ts';
import { measureVerdictGap } from './swap-gap.ts';
import { largeFile, largePolicy, NAMES, PREFIXES } from './swap-policies.ts';

const ROUNDS = 7;
const INSTANCE = `bench-${process.pid}`;
const LIMITS = { swapSeconds: 1.5, gapMs: 1 };

/** Swaps in this process, then under traffic by the command. */
export async function measureSwap(compiler: Compiler, report: Report): Promise<void> {
  const swapMs = await measureInProcess(report);
  report.expect({
    what: `${NAMES / 1000}k names and ${PREFIXES / 1000}k prefixes, from parsed to in force`,
    value: swapMs / 1000,
    limit: LIMITS.swapSeconds,
    unit: ' s',
  });
  const { gapMs, wrong } = await measureVerdictGap(compiler, report);
  report.expect({
    what: 'packets without a verdict at a swap',
    value: gapMs,
    limit: LIMITS.gapMs,
    unit: ' ms',
  });
  report.expect({ what: 'packets with a wrong verdict', value: wrong, limit: 0, unit: '' });
}

async function measureInProcess(report: Report): Promise<number> {
  using scope = new Scope();
  const root = mkdtempSync(join(tmpdir(), 'l7egg-bench-'));
  scope.defer(() => rmSync(root, { recursive: true }));
  const { state } = scope.use(await Harness.load([]));
  const run = new RunDir(INSTANCE, root);
  scope.use(run.lock() ?? { [Symbol.dispose]: () => {} });
  const context = { state, pins: new Pins(INSTANCE), run, netns: 0, kind: 'tcx' as const };
  const host: SwapHost = {
    shaper: new Shaper([], false),
    shapedIfindexes: [],
    remark: (text) => report.progress(text),
    dnsPorts: () => [53],
    place: () => [],
    trusted: () => new Map(),
  };
  let current: PoliciesInForce = {
    subjects: [{ ...largePolicy(0), policyId: 1, policy: { ...largePolicy(0).policy, rules: [] } }],
    nextPolicyId: 2,
    placed: [],
    rules: [],
    shares: new Map(),
  };
  const record = { version: 2, instance: INSTANCE, epoch: 0, pid: 0, startedAt: '', attach: 'tcx' } as const;
  const rest = { netns: { inode: 0, cookie: '' }, interfaces: [], resolvers: [], classes: [] };
  run.prepareRecord({ ...record, ...rest, policies: [], nextPolicyId: 2, cgroups: [], rules: [] });
  run.commitRecord();

  const steps = new Steps();
  for (let round = -1; round < ROUNDS; round += 1) {
    steps.isCounting = round >= 0;
    const text = largeFile(round + 2, ['192.0.2.1']);
    await steps.time('read the file', async () => {
      await readPolicies([{ file: 'large.yaml', text }], { lenient: false }, nextTurn);
    });
    const { policies } = { policies: [largePolicy(round + 2)] };
    const before = current;
    await steps.time('compare', () => diffPolicies(before.subjects, policies, nextTurn));
    current = await steps.time('compile and swap', () => swapPolicies(context, host, before, policies));
    await steps.time('tidy up', () => tidyUp(context, host, before, current));
  }
  report.table(`Another policy of ${NAMES} names and ${PREFIXES} prefixes, lower quartile of ${ROUNDS}`, [
    ['', 'ms', 'longest turn, ms'],
    ...steps.rows(),
  ]);
  return steps.best('compare') + steps.best('compile and swap');
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Times of steps, and for how long each let nothing else have a turn. */
class Steps {
  readonly #times = new Map<string, { readonly whole: number[]; readonly turns: number[] }>();
  isCounting = true;

  async time<T>(what: string, act: () => Promise<T>): Promise<T> {
    await pause(50);
    let longest = 0;
    let last = performance.now();
    const note = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
    };
    let isOver = false;
    const tick = () => {
      note();
      if (!isOver) setImmediate(tick);
    };
    setImmediate(tick);
    const begun = performance.now();
    const result = await act();
    const whole = performance.now() - begun;
    note();
    isOver = true;
    const times = this.#times.get(what) ?? { whole: [], turns: [] };
    this.#times.set(what, times);
    if (this.isCounting) {
      times.whole.push(whole);
      times.turns.push(longest);
    }
    return result;
  }

  /** To which other work on the machine can only add. */
  best(what: string): number {
    return lowerQuartile(this.#times.get(what)?.whole ?? []);
  }

  rows(): string[][] {
    return [...this.#times].map(([what, { whole, turns }]) => [
      what,
      lowerQuartile(whole).toFixed(0),
      lowerQuartile(turns).toFixed(0),
    ]);
  }
}
