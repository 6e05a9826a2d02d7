/*
 * `make test-vm`: Debian's kernels under qemu, two guests at a time; what came of it is a page in test/reports/vm.txt,
 * and what each guest wrote in test/reports/vm/. Words limit it to parts, and to kernels by the start of their release
 * (`6.12. systemd`): then the page is printed and not kept.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findCheckout } from '../../test/lab/checkout.ts';
import {
  alignRows,
  hasPassed,
  keepReport,
  type RunReport,
  renderReport,
  testedCommit,
} from '../../tools/run-report.ts';
import { type GuestPlace, runGuest } from './guest.ts';
import { type Judgement, type Part, partsFor } from './parts.ts';
import { judgeUnit } from './unit-answers.ts';

/** One boot that is to be, or was. */
interface Boot {
  readonly release: string;
  readonly part: Part;
}
interface Booted extends Boot, Judgement {
  readonly seconds: number;
  readonly output: string;
}

const GUESTS_AT_ONCE = 2;
const TAIL_LINES = 25;
/** Each holds some 100 MB of maps. */
const FILES_AT_ONCE = 8;
/** It has flows that were last seen 121 s ago. */
const OLD_KERNEL = { file: 'flows.root.test.ts', seconds: 130 };
const COPIED = ['bin', 'bpf', 'dist', 'src', 'test', 'tools', 'scripts', 'package.json', 'README.md'];
const BUILT = ['src', 'test', 'tools', 'scripts'];

const checkout = findCheckout();
const cache = join(checkout, 'build/vm');
const place = { checkout, snapshot: join(cache, 'run'), layer: join(cache, 'layer') };
const reports = join(checkout, 'test/reports');
const logs = join(reports, 'vm');

const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => stopped.abort(signal));

const words = process.argv.slice(2);
const started = performance.now();
const commit = testedCommit(checkout);
const releases = run('scripts/vm/fetch.sh', cache).trim().split('\n');
prepare();
const boots = chosen(releases, words);
const booted = await runAll(boots);
if (stopped.signal.aborted) {
  process.stderr.write(`test-vm: stopped by ${stopped.signal.reason}; nothing is left running\n`);
  process.exitCode = 130;
} else {
  const report = reportOf(booted);
  if (words.length === 0) keepReport(join(reports, 'vm.txt'), report);
  else process.stdout.write(renderReport(report));
  process.exitCode = hasPassed(report) ? 0 : 1;
}
for (const path of [place.snapshot, place.layer]) rmSync(path, { recursive: true, force: true });

/** Runs a program of the checkout, with its stderr to ours; throws when it fails. */
function run(program: string, ...args: readonly string[]): string {
  return execFileSync(join(checkout, program), args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** What guests see must not change while they run: virtiofs shows an edited file half old, half new. */
function prepare(): void {
  for (const path of [place.snapshot, place.layer]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { recursive: true });
  }
  if (words.length === 0) rmSync(logs, { recursive: true, force: true });
  mkdirSync(logs, { recursive: true });
  for (const name of [...COPIED, ...BUILT.map((each) => join('build', each))]) {
    cpSync(join(checkout, name), join(place.snapshot, name), { recursive: true, verbatimSymlinks: true });
  }
  // Big, and replaced rather than written to: linked.
  const modules = 'node_modules';
  execFileSync('cp', ['-al', join(checkout, modules), join(place.snapshot, modules)]);
  const load = [
    '-O2',
    '-Wall',
    '-Werror',
    join(checkout, 'scripts/vm/load.c'),
    '-o',
    join(cache, 'load'),
    '-lbpf',
  ];
  execFileSync('clang', load, { stdio: 'inherit' });
  run('test/systemd/layer.sh', checkout, place.layer);
  run('scripts/vm/systemd-layer.sh', place.layer);
}

/** All that is to be booted, longest parts first, so that two guests end at about the same time. */
function chosen(all: readonly string[], wanted: readonly string[]): readonly Boot[] {
  const everything = all.flatMap((release) =>
    partsFor(release, bpfGroups(), judgeUnit(place.snapshot)).map((part) => ({ release, part })),
  );
  const isPart = (word: string) => everything.some(({ part }) => part.name === word);
  const [parts, starts] = [wanted.filter(isPart), wanted.filter((word) => !isPart(word))];
  const unknown = starts.find((start) => !all.some((release) => release.startsWith(start)));
  if (unknown !== undefined) {
    throw new Error(`Cannot test "${unknown}": parts and starts of ${all.join(', ')} are legal`);
  }
  return everything
    .filter(({ part }) => parts.length === 0 || parts.includes(part.name))
    .filter(({ release }) => starts.length === 0 || starts.some((start) => release.startsWith(start)))
    .sort((a, b) => b.part.limitSeconds - a.part.limitSeconds);
}

/* Several files in a process, but for those that move theirs to another network namespace. */
function bpfGroups(): readonly string[] {
  const files = readdirSync(join(checkout, 'test/bpf')).filter((name) => name.endsWith('.root.test.ts'));
  const isAlone = (name: string) =>
    OLD_KERNEL.file === name ||
    readFileSync(join(checkout, 'test/bpf', name), 'utf8').includes('enterScratchNetns(');
  const built = (name: string) => `build/test/bpf/${name.replace(/ts$/u, 'js')}`;
  const together = files.filter((name) => !isAlone(name)).map(built);
  const groups: string[] = [];
  for (let at = 0; at < together.length; at += FILES_AT_ONCE) {
    groups.push(together.slice(at, at + FILES_AT_ONCE).join(','));
  }
  const alone = files.filter((name) => isAlone(name) && name !== OLD_KERNEL.file).map(built);
  return [...groups, ...alone, `+${OLD_KERNEL.seconds}`, built(OLD_KERNEL.file)];
}

async function runAll(boots: readonly Boot[]): Promise<readonly Booted[]> {
  const waiting = [...boots];
  const done: Booted[] = [];
  const lane = async () => {
    for (let next = waiting.shift(); next && !stopped.signal.aborted; next = waiting.shift()) {
      done.push(await runOne(next));
    }
  };
  await Promise.all(Array.from({ length: GUESTS_AT_ONCE }, lane));
  return done;
}

async function runOne({ release, part }: Boot): Promise<Booted> {
  const from = performance.now();
  const at: GuestPlace = { ...place, log: join(logs, `${release}-${part.name}`) };
  const outcome = await runGuest(release, part, at, stopped.signal);
  const seconds = Math.round((performance.now() - from) / 1000);
  const judgement = part.judge(outcome);
  const row = `${release} ${part.name}: ${judgement.passed ? 'pass' : 'FAIL'}, ${judgement.counts}, ${seconds} s`;
  process.stderr.write(`${row}\n`);
  return { release, part, seconds, output: outcome.output, ...judgement };
}

function reportOf(booted: readonly Booted[]): RunReport {
  const tested = releases.filter((release) => booted.some((one) => one.release === release));
  const byKernel = tested.flatMap((release) => booted.filter((one) => one.release === release));
  const rows = byKernel.map(({ release, part, passed, counts, seconds }) => [
    release,
    part.name,
    passed ? 'pass' : 'FAIL',
    counts,
    `${seconds} s`,
  ]);
  const said = [...new Set(byKernel.flatMap((one) => one.said))];
  const failures = byKernel.flatMap(({ release, part, passed, output }) =>
    passed
      ? []
      : [
          '',
          `${release} ${part.name}, the end of test/reports/vm/${release}-${part.name}.log:`,
          ...tail(output),
        ],
  );
  return {
    title: `Kernels under qemu without KVM, ${GUESTS_AT_ONCE} at a time: ${minutes(performance.now() - started)}`,
    commit,
    lines: [...alignRows([['kernel', 'part', '', 'counts', 'took'], ...rows]), '', ...said, ...failures],
    results: tested.map((kernel) => ({
      kernel,
      passed: byKernel.every(({ release, passed }) => release !== kernel || passed),
    })),
  };
}

function tail(output: string): readonly string[] {
  return output
    .trimEnd()
    .split('\n')
    .slice(-TAIL_LINES)
    .map((line) => `  ${line}`);
}

function minutes(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
