import { Counter, collectDefaultMetrics, Gauge } from 'prom-client';
import type { Event } from '../flow/event.ts';
import type { EventReader } from '../flow/feed.ts';
import type { Census } from './census.ts';
import { registerCensusFamilies } from './census-families.ts';
import type { RuleTarget } from './common-names.ts';
import { EventCounts } from './event-counts.ts';
import { registerEventFamilies } from './event-families.ts';
import { Families, one } from './families.ts';
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
  readonly #turns = new Turns(PIECE_MS);
  readonly #families = new Families(this.#turns);
  readonly #counts: EventCounts;
  readonly #measured: Measured;
  #census: Census | undefined;
  #countedMs = 0;
  #counting: Promise<Census> | undefined;
  #writing: Promise<Buffer> | undefined;

  constructor(measured: Measured) {
    this.#measured = measured;
    this.#counts = new EventCounts((ruleId) => measured.targetOf(ruleId));
    registerEventFamilies(this.#families, this.#counts);
    registerLiveFamilies(this.#families, measured.build, measured);
    registerCensusFamilies(this.#families, () => {
      if (!this.#census) throw new RangeError('no census was taken');
      return this.#census;
    });
    this.#families.gauge({
      name: 'l7egg_scrape_longest_piece_seconds',
      help: 'For how long at most counting and writing for a scrape held up the reading of events at a time, since the start; the kernel decides meanwhile.',
      labels: [],
      read: () => one(Math.max(this.#turns.longestMs, this.#census?.longestPieceMs ?? 0) / 1_000),
    });
    collectDefaultMetrics({
      register: this.#families.registry,
      eventLoopMonitoringPrecision: LAG_RESOLUTION_MS,
    });
  }

  /** Media type of what `write` gives. */
  get contentType(): string {
    return this.#families.registry.contentType;
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
    const { registry } = this.#families;
    const texts: string[] = [];
    this.#turns.begin();
    for (const { name } of registry.getMetricsAsArray()) {
      const metric = registry.getSingleMetric(name);
      if (metric instanceof Counter || metric instanceof Gauge)
        texts.push(await writeText(await metric.get(), this.#turns));
      else texts.push(`${await registry.getSingleMetricAsString(name)}\n`);
      await this.#turns.give();
    }
    return Buffer.from(texts.join(''));
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
