import type { Event } from '../flow/event.ts';
import type { EventFeed } from '../flow/feed.ts';
import { encodeMessage, encodePlace } from './message.ts';

/** Where a stream is written to, such as the answer to a request. */
export interface StreamSink {
  /** Bytes that it has taken and that are not on their way yet. */
  readonly writableLength: number;
  write(text: string): void;
  /** Calls back once, when all that it has taken is on its way. */
  onceDrained(act: () => void): void;
}

/** What a stream needs besides its sink. */
export interface StreamSource {
  readonly feed: EventFeed;
  /** Names this run of the enforcer. */
  readonly run: string;
  /** An event as a line of JSON. */
  readonly render: (event: Event) => string;
  /** JSON text of what is in force. */
  readonly state: () => string;
}

/** Events are told together: a page that is told each by itself is busy with being told. */
const BATCH_MS = 100;
const MOST_IN_BATCH = 500;
/** Between batches of one that is behind: the enforcer has other things to do. */
const BEHIND_MS = 10;
/** Of a reader that does not keep up. What it has not been told waits in the feed, where it is for all. */
const MAX_UNREAD_BYTES = 256 << 10;

/**
 * Tells one reader of events: first what the feed has kept, then what comes, in batches. It holds no events, only
 * where the reader is; to one that is further behind than the feed keeps, what fell out is lost, and it is told how
 * many.
 */
export class EventStream implements Disposable {
  readonly #sink: StreamSink;
  readonly #source: StreamSource;
  readonly #subscription: Disposable;
  #seq: number;
  #timer: NodeJS.Timeout | undefined;
  #isBehind = false;
  #isClosed = false;
  #toldState = '';

  /** @param seq of the last event that the reader has */
  constructor(sink: StreamSink, source: StreamSource, seq: number) {
    this.#sink = sink;
    this.#source = source;
    this.#seq = seq;
    this.#subscription = source.feed.subscribe({
      take: () => {
        this.#schedule(BATCH_MS);
        return true;
      },
    });
    this.#schedule(0);
  }

  /** Shows that the line is alive, and tells what is in force where that has changed. */
  beat(nowMs: number): void {
    if (this.#isClosed || this.#isBehind) return;
    this.#tellState();
    this.#sink.write(encodeMessage({ kind: 'beat', lines: [JSON.stringify({ now: nowMs })] }));
  }

  /** Tells what has happened until now, as far as the reader keeps up. */
  flush(): void {
    if (!this.#isBehind && !this.#isClosed) this.#flush();
  }

  /** Tells no more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#subscription[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== undefined || this.#isBehind || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, delayMs);
  }

  #flush(): void {
    if (this.#sink.writableLength > MAX_UNREAD_BYTES) {
      this.#isBehind = true;
      this.#sink.onceDrained(() => {
        this.#isBehind = false;
        this.#schedule(0);
      });
      return;
    }
    const isFirst = this.#toldState === '';
    const events = this.#source.feed.after(this.#seq, MOST_IN_BATCH);
    if (isFirst || events.some(({ kind }) => kind === 'policy' || kind === 'lifecycle')) this.#tellState();
    const last = events.at(-1);
    if (!last) return;
    this.#tellEvents(events, last.seq);
    if (events.length === MOST_IN_BATCH) this.#schedule(BEHIND_MS);
  }

  #tellEvents(events: readonly Event[], lastSeq: number): void {
    const lost = Math.max(0, (events[0]?.seq ?? 0) - this.#seq - 1);
    this.#seq = lastSeq;
    if (lost > 0) this.#sink.write(encodeMessage({ kind: 'lost', lines: [`${lost}`] }));
    const id = encodePlace(this.#source.run, lastSeq);
    this.#sink.write(encodeMessage({ kind: 'events', id, lines: events.map(this.#source.render) }));
  }

  #tellState(): void {
    const state = this.#source.state();
    if (state === this.#toldState) return;
    this.#toldState = state;
    this.#sink.write(encodeMessage({ kind: 'state', lines: [state] }));
  }
}
