import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Event } from '../flow/event.ts';
import type { EventReader } from '../flow/feed.ts';
import type { Census } from './census.ts';
import { registerCensusFamilies } from './census-families.ts';
import type { RuleTarget } from './common-names.ts';
import { EventCounts } from './event-counts.ts';
import { registerEventFamilies } from './event-families.ts';
import { type Build, type Live, registerLiveFamilies } from './live-families.ts';
import { Turns } from './turns.ts';
import { writeText } from './write-text.ts';

/** A census is taken when somebody scrapes, and no more often than this. */
const CENSUS_AGE_MS = 5_000;
/** A scrape waits that long for one; then it is answered from the last. Prometheus gives up after 10 s. */
const CENSUS_WAIT_MS = 4_000;
/** How long text is written at a time. */
const PIECE_MS = 2;
/** Of the clock that measures how late the event loop is; 10, the default, takes 0.6 % of a CPU when nothing happens. */
const LAG_RESOLUTION_MS = 100;

/** What is measured. */
export interface Measured extends Live {
  readonly build: Build;
  /** What a rule that is or was in force speaks of. */
  targetOf(ruleId: number): RuleTarget | undefined;
  /** Counts what is in the kernel, in turns with everything else. */
  takeCensus(): Promise<Census>;
}

/** The metrics of one enforcer as text. It takes all its events. */
export class Exporter implements EventReader {
  readonly #registry = new Registry();
  readonly #counts: EventCounts;
  readonly #measured: Measured;
  #census: Census | undefined;
  #countedMs = 0;
  #counting: Promise<Census> | undefined;
  #writing: Promise<Buffer> | undefined;

  constructor(measured: Measured) {
    this.#measured = measured;
    this.#counts = new EventCounts((ruleId) => measured.targetOf(ruleId));
    registerEventFamilies(this.#registry, this.#counts);
    registerLiveFamilies(this.#registry, measured.build, measured);
    registerCensusFamilies(this.#registry, () => {
      if (!this.#census) throw new RangeError('no census was taken');
      return this.#census;
    });
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LAG_RESOLUTION_MS });
  }

  /** Media type of what `write` gives. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Counts an event; always true. */
  take(event: Event): boolean {
    return this.#counts.take(event);
  }

  /** All metrics as they are now, in the exposition format of Prometheus. Scrapes that overlap share one text. */
  write(): Promise<Buffer> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<Buffer> {
    await this.#refreshCensus();
    const turns = new Turns(PIECE_MS);
    const families: string[] = [];
    for (const { name } of this.#registry.getMetricsAsArray()) {
      const metric = this.#registry.getSingleMetric(name);
      if (metric instanceof Counter || metric instanceof Gauge)
        families.push(await writeText(await metric.get(), turns));
      else families.push(`${await this.#registry.getSingleMetricAsString(name)}\n`);
      await turns.give();
    }
    return Buffer.from(families.join(''));
  }

  async #refreshCensus(): Promise<void> {
    if (this.#census && performance.now() - this.#countedMs < CENSUS_AGE_MS) return;
    const counting = this.#count();
    if (this.#census) await Promise.race([counting, afterMs(CENSUS_WAIT_MS)]);
    else await counting;
  }

  #count(): Promise<Census> {
    this.#counting ??= this.#measured
      .takeCensus()
      .then((census) => {
        this.#census = census;
        this.#countedMs = performance.now();
        return census;
      })
      .finally(() => {
        this.#counting = undefined;
      });
    return this.#counting;
  }
}

function afterMs(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
