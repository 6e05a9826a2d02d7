import { Counter, Gauge, Registry } from 'prom-client';
import type { Sample } from './sample.ts';
import type { Turns } from './turns.ts';

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

/** The metrics of a process, whose series are filled in when they are asked for. */
export class Families {
  readonly registry = new Registry();
  readonly #turns: Turns;

  /** @param turns that filling series in gives */
  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** Adds a metric that only goes up. */
  counter({ name, help, labels, read }: Family): void {
    const counter: Counter<string> = new Counter({
      name,
      help,
      labelNames: labels,
      registers: [this.registry],
      collect: () => this.#fill(counter, read()),
    });
  }

  /** Adds a metric that goes up and down. */
  gauge({ name, help, labels, read }: Family): void {
    const gauge: Gauge<string> = new Gauge({
      name,
      help,
      labelNames: labels,
      registers: [this.registry],
      collect: () => this.#fill(gauge, read()),
    });
  }

  /* Series that read the same are added up. */
  async #fill(metric: Counter<string> | Gauge<string>, samples: Iterable<Sample>): Promise<void> {
    metric.reset();
    for (const { labels, value } of samples) {
      metric.inc({ ...labels }, value);
      await this.#turns.give();
    }
  }
}
