import type { RawEvent, RawFlowEvent } from '../datapath/event.ts';
import { type SeriesTaken, takeSeries } from '../datapath/series.ts';
import type { MapSource } from '../datapath/state.ts';
import { bootTimeNs } from '../libbpf/clock.ts';

/** Longer than the kernel waits by itself, which tells what it held back with the next refusal only. */
const LOOK_MS = 1_500;
/** Series that are followed; of one that is dropped the count comes with its next refusal. */
const MAX_FOLLOWED = 4_096;

/**
 * Tells what the kernel holds back of a series of refusals when no other comes: the first is told at once, those within
 * the next second are counted.
 */
export class HeldRefusals implements Disposable {
  readonly #maps: MapSource;
  readonly #tell: (raw: RawFlowEvent) => void;
  readonly #followed = new Map<string, RawFlowEvent>();
  #timer: NodeJS.Timeout | undefined;

  constructor(maps: MapSource, tell: (raw: RawFlowEvent) => void) {
    this.#maps = maps;
    this.#tell = tell;
  }

  /** Takes any record of the ring. */
  take(raw: RawEvent): void {
    if (raw.kind !== 'flow' || raw.verdict === 'allow') return;
    this.#followed.set(keyOf(raw), raw);
    if (this.#followed.size > MAX_FOLLOWED) {
      const [oldest = ''] = this.#followed.keys();
      this.#followed.delete(oldest);
    }
    this.#timer ??= setTimeout(() => this.#look(), LOOK_MS);
  }

  /** Idempotent. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #look(): void {
    this.#timer = undefined;
    for (const [key, raw] of this.#followed) {
      const taken = takeSeries(this.#maps, raw, process.hrtime.bigint());
      if (taken === 'young') continue;
      this.#followed.delete(key);
      if (taken !== 'over') this.#tell(told(raw, taken));
    }
    if (this.#followed.size > 0) this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }
}

function told(raw: RawFlowEvent, { count, windowMs }: Exclude<SeriesTaken, string>): RawFlowEvent {
  return { ...raw, bootNs: bootTimeNs(), count, windowMs };
}

function keyOf({ policyId, reason, l4Proto, remote, remotePort, process: caller }: RawFlowEvent): string {
  return `${policyId} ${reason} ${l4Proto} ${remotePort} ${caller?.pid ?? 0} ${Buffer.from(remote).toString('latin1')}`;
}
