/*
 * What scraping costs an enforcer whose maps are full: how long its event loop is held up, next to the same enforcer that
 * nobody scrapes.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Scope } from '../../src/scope.ts';
import { findCli } from '../lab/checkout.ts';
import { runCommand } from '../lab/command.ts';
import { createNamespace, type Namespace } from '../lab/namespace.ts';
import { ip } from '../lab/topology.ts';
import { type Exposition, parseExposition, sumOf } from '../metrics/exposition.ts';
import type { Compiler } from './compile.ts';
import type { Report } from './report.ts';
import { median } from './statistics.ts';

const READY_LIMIT_MS = 120_000;
const RULES = 131_000;
const SCRAPERS = 10;
/** Short, so that what the enforcer does by itself twice a minute is not in most of them. */
const ROUND_MS = 3_000;
const ROUNDS = 9;
const LIMIT_MS = 10;
const METRICS_URL = 'http://127.0.0.1:9090/metrics';

/** Scrapes it by ten at a time, and not at all. */
export async function measureScrapes(_compiler: Compiler, report: Report): Promise<void> {
  using scope = new Scope();
  const namespace = scope.use(createNamespace('scrape'));
  ip(namespace, [
    'link add eth0 type veth peer name other',
    'addr add 192.0.2.2/24 dev eth0',
    'link set eth0 up',
    'link set other up',
  ]);
  const instance = `bench-${process.pid}-scrape`;
  scope.defer(() => runCommand([findCli(), 'clean', `-instance=${instance}`]));
  const policy = join(namespace.directory, 'policy.yaml');
  writeFileSync(policy, manyRules());
  const enforcer = namespace.spawn(findCli(), [
    '-iface=eth0',
    '-eface=eth0',
    '-resolver=192.0.2.53',
    `-policy=${policy}`,
    `-instance=${instance}`,
    '-metrics=9090',
  ]);
  await enforcer.waitForLine(/^enforcing/, READY_LIMIT_MS);
  // How long it waits for a CPU is not what is measured.
  runCommand(['chrt', '--all-tasks', '--rr', '--pid', '10', `${enforcer.pid}`]);
  const filler = namespace.spawn(process.execPath, [
    fileURLToPath(new URL('../netns/metrics-fill.js', import.meta.url)),
    instance,
  ]);
  await filler.waitForLine(/^filled/, READY_LIMIT_MS);

  const alone: number[] = [];
  const scraped: number[] = [];
  let [slowest, bytes] = [0, 0];
  await lagMs(namespace);
  for (let round = 0; round < ROUNDS; round += 1) {
    await lagMs(namespace);
    await pause(ROUND_MS);
    alone.push(await lagMs(namespace));
    const begun = performance.now();
    let longest = 0;
    while (performance.now() - begun < ROUND_MS) {
      const started = performance.now();
      const texts = await Promise.all(Array.from({ length: SCRAPERS }, () => scrape(namespace)));
      slowest = Math.max(slowest, performance.now() - started);
      bytes = texts[0]?.length ?? 0;
      longest = Math.max(longest, ...texts.map(lagOf));
    }
    scraped.push(Math.max(longest, await lagMs(namespace)));
  }
  const last = parseExposition(await scrape(namespace));
  report.table(
    `An enforcer with full maps, scraped by ${SCRAPERS} at a time: longest wait of its event loop in ${ROUND_MS / 1000} s, median of ${ROUNDS}`,
    [
      ['', 'ms'],
      ['nobody scrapes', listed(alone)],
      [`scrapes of ${(bytes / 1024).toFixed(0)} KiB`, listed(scraped)],
      ['longest scrape', slowest.toFixed(0)],
      ['longest piece of work for a scrape', (longestPiece(last) * 1_000).toFixed(1)],
      ['one census', (sumOf(last, 'l7egg_census_duration_seconds') * 1_000).toFixed(0)],
      ['flows / leases', `${sumOf(last, 'l7egg_flows')} / ${sumOf(last, 'l7egg_leases')}`],
    ],
  );
  report.expect({
    what: 'event loop held up by scrapes',
    value: median(scraped) - median(alone),
    limit: LIMIT_MS,
    unit: ' ms more',
  });
  report.expect({
    what: 'longest piece of work for a scrape',
    value: longestPiece(last) * 1_000,
    limit: LIMIT_MS,
    unit: ' ms',
  });
}

async function lagMs(namespace: Namespace): Promise<number> {
  return lagOf(await scrape(namespace));
}

function lagOf(text: string): number {
  return sumOf(parseExposition(text), 'nodejs_eventloop_lag_max_seconds') * 1_000;
}

async function scrape(namespace: Namespace): Promise<string> {
  const done = await namespace.runAsync('curl', ['-sS', '-q', '-f', '-m', '30', METRICS_URL], {
    timeoutMs: 35_000,
  });
  if (done.code !== 0) throw new Error(`Cannot scrape: ${done.stderr}`);
  return done.stdout;
}

function longestPiece(metrics: Exposition): number {
  return sumOf(metrics, 'l7egg_scrape_longest_piece_seconds');
}

function listed(values: readonly number[]): string {
  return `${median(values).toFixed(1)} (${values.map((each) => each.toFixed(0)).join(' ')})`;
}

function manyRules(): string {
  const lines = ['apiVersion: l7egg/v1', 'kind: EgressPolicy', 'name: bench', 'rules:'];
  for (let group = 0; group < 1_310; group++) {
    lines.push(`  - name: group ${group}`, '    cidrs:');
    for (let index = 0; index < RULES / 1_310; index++)
      lines.push(
        `      - 10.${Math.floor(group / 8)}.${(group % 8) * 32 + Math.floor(index / 4)}.${(index % 4) * 64}/26`,
      );
  }
  return `${lines.join('\n')}\n`;
}
