/*
 * `make test-long`: tests with the numbers of a long run. What came of it is a page in test/reports/long.txt, and what each
 * wrote in test/reports/long/. Words limit it to campaigns (`dns rules`): then the page is printed and not kept.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { release } from 'node:os';
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
import { CAMPAIGNS, type Campaign } from './campaigns.ts';
import { type CampaignResult, runCampaign } from './run-campaign.ts';

const checkout = findCheckout();
const reports = join(checkout, 'test/reports');
const logs = join(reports, 'long');
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stopped.abort());

const words = process.argv.slice(2);
const seed = Number(process.env.L7EGG_SEED ?? Math.floor(Math.random() * 2 ** 31));
const commit = testedCommit(checkout);
const started = performance.now();
rmSync(logs, { recursive: true, force: true });
mkdirSync(logs, { recursive: true });
const campaigns = chosen();
const inLane = (lane: Campaign['lane']) => campaigns.filter((each) => each.lane === lane);
const beside = await Promise.all([runAll(inLane('bytes')), runAll(inLane('host'))]);
const results = [...beside.flat(), ...(await runAll(inLane('alone')))];
if (stopped.signal.aborted) {
  process.stderr.write('test-long: stopped\n');
  process.exitCode = 130;
} else {
  const report = reportOf(results);
  if (words.length === 0) keepReport(join(reports, 'long.txt'), report);
  else process.stdout.write(renderReport(report));
  process.exitCode = hasPassed(report) ? 0 : 1;
}

function chosen(): readonly Campaign[] {
  const unknown = words.find((word) => !CAMPAIGNS.some(({ name }) => name === word));
  if (unknown !== undefined) {
    throw new Error(
      `Cannot run "${unknown}": ${CAMPAIGNS.map(({ name }) => name).join(', ')} are the campaigns`,
    );
  }
  return CAMPAIGNS.filter(({ name }) => words.length === 0 || words.includes(name));
}

async function runAll(lane: readonly Campaign[]): Promise<readonly CampaignResult[]> {
  const done: CampaignResult[] = [];
  for (const campaign of lane) {
    if (stopped.signal.aborted) break;
    const log = join(logs, `${campaign.name}.log`);
    const result = await runCampaign(campaign, { checkout, log, seed, signal: stopped.signal });
    process.stderr.write(`${rowOf(result).join('  ')}\n`);
    done.push(result);
  }
  return done;
}

function rowOf({ campaign, passed, counts, seconds }: CampaignResult): readonly string[] {
  const settings = Object.entries(campaign.settings).map(([name, value]) => `${name}=${value}`);
  return [campaign.name, passed ? 'pass' : 'FAIL', counts, `${seconds} s`, settings.join(' ')];
}

function reportOf(done: readonly CampaignResult[]): RunReport {
  const minutes = Math.round((performance.now() - started) / 60_000);
  return {
    title: `The long run: ${minutes} min, L7EGG_SEED=${seed}`,
    commit,
    lines: [
      ...alignRows([['campaign', '', 'counts', 'took', 'settings'], ...done.map(rowOf)]),
      ...done.flatMap(({ campaign, passed, said, tail }) => [
        '',
        `${campaign.name}:`,
        ...said.map((line) => `  ${line}`),
        ...(passed ? [] : ['  the end of its log:', ...tail.map((line) => `    ${line}`)]),
      ]),
    ],
    results: [{ kernel: release(), passed: done.length > 0 && done.every(({ passed }) => passed) }],
  };
}
