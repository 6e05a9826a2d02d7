import type { Event } from '../flow/event.ts';
import { EventQueue, type TextSink } from '../flow/event-queue.ts';
import type { EventReader } from '../flow/feed.ts';
import { levelOf } from '../flow/level.ts';
import { LineLimit, type LineRate } from '../flow/line-limit.ts';
import { describeLeftOut, type Remark, TELL_LEFT_OUT_MS } from './remarks.ts';
import { levelMark, type Sink } from './sink.ts';

/** What the journal gets of events, for each level; see `REMARK_RATE`. */
export const EVENT_RATE: LineRate = { burst: 1_000, perSecond: 30 };

/** What a writer of events needs besides its output. */
export interface EventWriterOptions {
  readonly sink: Sink;
  readonly render: (event: Event) => string;
  /** Told how many were left out. */
  readonly remark: Remark;
  /** What happens to the enforcer and its policies is said on stderr already, so it is left out; a loss is said there. */
  readonly isForPeople?: boolean;
  readonly nowMs?: () => number;
  /** As of `EventQueue`; default: the next turn of the loop. */
  readonly soon?: (act: () => void) => void;
}

/**
 * Writes events to stdout, a line each. A reader that does not keep up loses events, and is told how many by the next
 * one; it does not cost us memory. The journal gets no more of each level than it takes, with its level in front.
 */
export class EventWriter implements EventReader {
  readonly #queue: EventQueue;
  readonly #options: EventWriterOptions;
  readonly #limit = new LineLimit(EVENT_RATE);
  readonly #nowMs: () => number;
  #telling: NodeJS.Timeout | undefined;

  constructor(output: TextSink, options: EventWriterOptions) {
    this.#options = options;
    const { sink, render, soon } = options;
    const lineOf = (event: Event) => `${levelMark(sink, levelOf(event))}${render(event)}`;
    this.#queue = new EventQueue(output, lineOf, soon ?? setImmediate);
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  take(event: Event): boolean {
    const { sink, isForPeople, remark } = this.#options;
    if (isForPeople && (event.kind === 'lifecycle' || event.kind === 'policy')) {
      if (event.kind === 'lifecycle' && event.action === 'events-lost') remark(event.message, levelOf(event));
      return true;
    }
    const level = levelOf(event);
    if (sink === 'journal' && !this.#limit.admit(level, this.#nowMs())) {
      this.#telling ??= setTimeout(() => this.tellLeftOut(), TELL_LEFT_OUT_MS).unref();
      return false;
    }
    return this.#queue.take(event);
  }

  /** Writes all that waits, whether its reader keeps up or not: for the end. */
  flush(): void {
    this.#queue.flush();
  }

  /** Says how many events were left out and not told of yet. Idempotent. */
  tellLeftOut(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    const leftOut = this.#limit.takeLeftOut();
    if (leftOut.length > 0) this.#options.remark(describeLeftOut(leftOut, 'events'), 'warning');
  }
}
