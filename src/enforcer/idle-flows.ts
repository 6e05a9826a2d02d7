import type { RawFlowEvent } from '../datapath/event.ts';
import { endOf, idleKeys, isIdle } from '../datapath/flow-ends.ts';
import type { MapSource } from '../datapath/state.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import type { Batch } from '../libbpf/map-batches.ts';

/** From the end of one sweep to the beginning of the next. */
const EVERY_MS = 15_000;
/** Entries that are read at a time; others get a turn after each. */
const ENTRIES = 256;
/** Between two reads, so that a full table takes seconds and a twentieth of a CPU. */
const PAUSE_MS = 10;

/**
 * Takes flows out of the table that have been idle for as long as the kernel lets packets pass as theirs, and tells their
 * ends: those of UDP, ICMP and other protocols without an end of their own. One that is evicted before has no end.
 */
export class IdleFlows implements Disposable {
  readonly #maps: MapSource;
  readonly #tell: (end: RawFlowEvent) => void;
  #timer: NodeJS.Timeout | undefined;
  #sweep: Iterator<Batch> | undefined;

  /** Begins at once. */
  constructor(maps: MapSource, tell: (end: RawFlowEvent) => void) {
    this.#maps = maps;
    this.#tell = tell;
    this.#wait(EVERY_MS);
  }

  /** Idempotent. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#turn(), ms);
  }

  #turn(): void {
    this.#sweep ??= this.#maps.map('flows').batches(ENTRIES);
    const next = this.#sweep.next();
    if (next.done) this.#sweep = undefined;
    else for (const key of idleKeys(next.value, process.hrtime.bigint())) this.#end(key);
    this.#wait(next.done ? EVERY_MS : PAUSE_MS);
  }

  #end(key: Buffer): void {
    const flows = this.#maps.map('flows');
    const value = flows.take(key);
    if (!value) return;
    // A packet came in between, and was judged anew: its flow goes on.
    if (!isIdle(key, value, process.hrtime.bigint())) {
      flows.insert(key, value);
      return;
    }
    const end = endOf(this.#maps, key, value, bootTimeNs());
    if (end) this.#tell(end);
  }
}

/** The ends of all flows that are left, for when nobody follows them any more. Throws SystemError. */
export function listEnds(maps: MapSource): RawFlowEvent[] {
  const bootNs = bootTimeNs();
  return [...maps.map('flows').entries()].flatMap(([key, value]) => endOf(maps, key, value, bootNs) ?? []);
}
