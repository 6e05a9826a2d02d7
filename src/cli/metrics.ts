/*
 * A bundle of its own, dist/metrics.cjs: with prom-client it takes longer to load than all of a start, so it is loaded
 * with -metrics only. What calls the kernel is handed in, for libbpf is bound once in a process.
 */
import { release } from 'node:os';
import { CensusTaker } from '../enforcer/census.ts';
import type { MeteredEnforcer } from '../enforcer/metered.ts';
import { Exporter } from '../metrics/exporter.ts';
import { MetricsServer } from '../metrics/server.ts';
import type { Endpoint } from './endpoint.ts';

/** Metrics that have a port, and tell of an enforcer once there is one. */
export interface OpenMetrics extends Disposable {
  /** Where they are, in a sentence. */
  readonly remark: string;
  /** Counts what `enforcer` tells from now on: to be called before it begins. */
  follow(enforcer: MeteredEnforcer): void;
}

/** Takes the port of `-metrics`. Throws TakenError, UsageError, SystemError. */
export async function openMetrics(endpoint: Endpoint, version: string): Promise<OpenMetrics> {
  const server = await MetricsServer.listen(endpoint);
  return {
    remark: describe(endpoint, server.url),
    follow: (enforcer) => {
      const exporter = exportOf(enforcer, version);
      enforcer.feed.subscribe(exporter);
      server.show(exporter);
    },
    [Symbol.dispose]: () => server.close(),
  };
}

function describe({ isLoopback }: Endpoint, url: string): string {
  const warning = ': whoever reaches that reads the names that this host looks up, without a password';
  return `metrics at ${url}${isLoopback ? '' : warning}`;
}

function exportOf(enforcer: MeteredEnforcer, version: string): Exporter {
  const census = new CensusTaker(enforcer);
  return new Exporter({
    build: { version, kernel: release(), node: process.version },
    counters: () => enforcer.counters(),
    get readers() {
      return { count: enforcer.feed.readers, lost: enforcer.feed.lost };
    },
    targetOf: (ruleId) => enforcer.targetOf(ruleId),
    takeCensus: () => census.take(),
  });
}
