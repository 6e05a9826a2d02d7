import { Counter, Gauge, type Registry } from 'prom-client';
import type { Sample } from './sample.ts';
import { Turns } from './turns.ts';

/** How long series are filled in at a time. */
const PIECE_MS = 2;

/** A metric: its name, what it tells, and its labels. `read` gives its series whenever it is scraped. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: () => Iterable<Sample>;
}

/** The only series of a metric without labels. */
export function one(value: number): Sample[] {
  return [{ labels: {}, value }];
}

/** A metric that only goes up. */
export function registerCounter(registry: Registry, { name, help, labels, read }: Family): void {
  const counter: Counter<string> = new Counter({
    name,
    help,
    labelNames: labels,
    registers: [registry],
    collect: () => fill(counter, read()),
  });
}

/** A metric that goes up and down. */
export function registerGauge(registry: Registry, { name, help, labels, read }: Family): void {
  const gauge: Gauge<string> = new Gauge({
    name,
    help,
    labelNames: labels,
    registers: [registry],
    collect: () => fill(gauge, read()),
  });
}

/* Series that read the same are added up. */
async function fill(metric: Counter<string> | Gauge<string>, samples: Iterable<Sample>): Promise<void> {
  const turns = new Turns(PIECE_MS);
  metric.reset();
  for (const { labels, value } of samples) {
    metric.inc({ ...labels }, value);
    await turns.give();
  }
}
