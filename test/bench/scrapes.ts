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
import { parseExposition, sumOf } from '../metrics/exposition.ts';
import type { Compiler } from './compile.ts';
import type { Report } from './report.ts';

const READY_LIMIT_MS = 120_000;
const RULES = 131_000;
const SCRAPERS = 10;
const ROUND_MS = 6_000;
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
  const filler = namespace.spawn(process.execPath, [
    fileURLToPath(new URL('../netns/metrics-fill.js', import.meta.url)),
    instance,
  ]);
  await filler.waitForLine(/^filled/, READY_LIMIT_MS);

  const lag = async () =>
    sumOf(parseExposition(await scrape(namespace)), 'nodejs_eventloop_lag_max_seconds') * 1_000;
  await lag();
  await lag();
  await pause(ROUND_MS);
  const alone = await lag();
  const begun = performance.now();
  const lags: number[] = [];
  let slowest = 0;
  let bytes = 0;
  while (performance.now() - begun < 3 * ROUND_MS) {
    const started = performance.now();
    const texts = await Promise.all(Array.from({ length: SCRAPERS }, () => scrape(namespace)));
    slowest = Math.max(slowest, performance.now() - started);
    for (const each of texts) {
      bytes = each.length;
      lags.push(sumOf(parseExposition(each), 'nodejs_eventloop_lag_max_seconds') * 1_000);
    }
  }
  lags.push(await lag());
  const scraped = Math.max(...lags);
  const last = parseExposition(await scrape(namespace));
  report.table(
    `${SCRAPERS} scrapers at a time of an enforcer with full maps, longest wait of its event loop`,
    [
      ['', 'ms'],
      ['nobody scrapes', alone.toFixed(1)],
      [`${lags.length} scrapes of ${(bytes / 1024).toFixed(0)} KiB`, scraped.toFixed(1)],
      ['longest scrape, ten at a time', slowest.toFixed(0)],
      ['one census', (sumOf(last, 'l7egg_census_duration_seconds') * 1_000).toFixed(0)],
      ['flows / leases', `${sumOf(last, 'l7egg_flows')} / ${sumOf(last, 'l7egg_leases')}`],
    ],
  );
  report.expect({
    what: 'event loop held up by scrapes',
    value: scraped - alone,
    limit: LIMIT_MS,
    unit: ' ms more',
  });
}

async function scrape(namespace: Namespace): Promise<string> {
  const done = await namespace.runAsync('curl', ['-sS', '-q', '-f', '-m', '30', METRICS_URL], {
    timeoutMs: 35_000,
  });
  if (done.code !== 0) throw new Error(`Cannot scrape: ${done.stderr}`);
  return done.stdout;
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
