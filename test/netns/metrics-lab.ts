/*
 * An enforcer with -metrics in the lab of robust-lab.ts, and who scrapes it from the same namespace, where its loopback
 * is.
 */
import type { TestContext } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import { until } from '../lab/wait.ts';
import { type Exposition, findSamples, parseExposition } from '../metrics/exposition.ts';
import type { RunningEnforcer } from './enforcer.ts';
import { FLAGS, startFor } from './robust-lab.ts';

const LIMIT_MS = 10_000;
/** Longer than a census is kept. */
const SHOWN_LIMIT_MS = 12_000;

/** Of series of the host. */
export const OF_HOST = { subject: 'host' };

/** What one request was answered. */
export interface Answered {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

/** An enforcer whose metrics have a port of their own. */
export interface Metered {
  readonly enforcer: RunningEnforcer;
  readonly port: number;
  readonly url: string;
  /** All metrics now, parsed strictly. */
  readonly scrape: () => Promise<Exposition>;
}

/** Starts one that ends with the test. */
export async function startMetered(
  context: TestContext,
  host: Namespace,
  flags: readonly string[] = FLAGS,
): Promise<Metered> {
  const enforcer = await startFor(context, host, [...flags, '-metrics=0']);
  const line = enforcer.remarks().find((text) => text.startsWith('metrics at '));
  const [, url = '', port = ''] =
    /^metrics at (http:\/\/127\.0\.0\.1:(\d+)\/metrics)$/u.exec(line ?? '') ?? [];
  if (url === '') throw new Error(`Cannot find the port of the metrics in ${line}`);
  return {
    enforcer,
    port: Number(port),
    url,
    scrape: async () => {
      const { status, body } = await ask(host, url);
      if (status !== 200) throw new Error(`Cannot scrape: ${status} ${body}`);
      return parseExposition(body);
    },
  };
}

/** One request by curl, with its words before the URL. Status 0 = there was no answer. */
export async function ask(host: Namespace, url: string, words: readonly string[] = []): Promise<Answered> {
  const done = await host.runAsync('curl', ['-sS', '-q', '-g', '-i', '-m', '10', ...words, url], {
    timeoutMs: LIMIT_MS + 5_000,
  });
  const end = done.stdout.indexOf('\r\n\r\n');
  const headers = done.stdout.slice(0, Math.max(0, end));
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/u.exec(headers)?.[1] ?? 0),
    headers,
    body: done.stdout.slice(end + 4),
  };
}

/** Scrapes until `isThere`, and answers with that scrape. */
export function scrapeUntil(
  { scrape }: Metered,
  what: string,
  isThere: (metrics: Exposition) => boolean,
): Promise<Exposition> {
  return until(
    async () => {
      const metrics = await scrape();
      return isThere(metrics) && metrics;
    },
    { limitMs: SHOWN_LIMIT_MS, what },
  );
}

/** What each label of the samples of a metric is, and its value: `eth0|egress|1`. */
export function listed(metrics: Exposition, name: string): string[] {
  return findSamples(metrics, name).map(({ labels, value }) => [...labels.values(), value].join('|'));
}
