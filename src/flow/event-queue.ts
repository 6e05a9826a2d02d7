import type { Event } from './event.ts';
import type { EventReader } from './feed.ts';

/** Where events go as text. */
export interface TextSink {
  /** Takes text; answers whether more may come at once. */
  send(text: string): boolean;
  /** Calls back once more may come. */
  onceReady(act: () => void): void;
}

/** Events that wait for a reader that is behind; more are lost to it. */
const MAX_WAITING = 4_096;
/** Characters that are sent in one piece. */
const PIECE = 1 << 16;

/**
 * Hands events as lines of text to a sink that may be slow: in pieces, for a write costs more than a line, and never
 * more at a time than the sink takes. What waits is bounded; what finds no room is lost, and counted by who feeds.
 */
export class EventQueue implements EventReader {
  readonly #sink: TextSink;
  readonly #render: (event: Event) => string;
  readonly #soon: (act: () => void) => void;
  #waiting: Event[] = [];
  #at = 0;
  #room: number;
  #isScheduled = false;
  #isBehind = false;
  #onEmpty: (() => void) | undefined;

  /** @param past what is sent first, whatever the bound @param soon calls back in this turn of the loop, or the next */
  constructor(
    sink: TextSink,
    render: (event: Event) => string,
    soon: (act: () => void) => void,
    past: readonly Event[] = [],
  ) {
    this.#sink = sink;
    this.#render = render;
    this.#soon = soon;
    this.#waiting = [...past];
    this.#room = past.length + MAX_WAITING;
    this.#schedule();
  }

  take(event: Event): boolean {
    if (this.#waiting.length - this.#at >= this.#room) return false;
    this.#waiting.push(event);
    this.#schedule();
    return true;
  }

  /** Calls back when nothing waits any more. */
  onceEmpty(act: () => void): void {
    this.#onEmpty = act;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isBehind) return;
    this.#isScheduled = true;
    this.#soon(() => {
      this.#isScheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#at < this.#waiting.length) {
      if (!this.#sink.send(this.#nextPiece())) {
        this.#isBehind = true;
        this.#sink.onceReady(() => {
          this.#isBehind = false;
          this.#schedule();
        });
        return;
      }
    }
    this.#waiting = [];
    this.#at = 0;
    this.#room = MAX_WAITING;
    this.#onEmpty?.();
    this.#onEmpty = undefined;
  }

  #nextPiece(): string {
    let text = '';
    while (this.#at < this.#waiting.length && text.length < PIECE) {
      const event = this.#waiting[this.#at];
      this.#at += 1;
      if (event) text += `${this.#render(event)}\n`;
    }
    return text;
  }
}
