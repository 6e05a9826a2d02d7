import type { Event } from './event.ts';
import type { EventReader } from './feed.ts';
import { levelOf } from './level.ts';

/** Where events go as text. */
export interface TextSink {
  /** Takes text; answers whether more may come at once. */
  send(text: string): boolean;
  /** Calls back once more may come. */
  onceReady(act: () => void): void;
}

/** Events that wait for a reader that is behind, more than the ring of the kernel holds; what comes more is lost to it. */
const MAX_WAITING = 8_192;
/** More of them, that only what matters more than `info` takes: a flood of what passes hides no refusal. */
const MORE_WAITING = 2_048;
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
  #waiting: Event[];
  /** Of the past: these wait beside what is bounded. */
  #past: number;
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
    this.#past = past.length;
    this.#schedule();
  }

  take(event: Event): boolean {
    const most = levelOf(event) === 'info' ? MAX_WAITING : MAX_WAITING + MORE_WAITING;
    if (this.#waiting.length >= this.#past + most) return false;
    this.#waiting.push(event);
    this.#schedule();
    return true;
  }

  /** Calls back when nothing waits any more. */
  onceEmpty(act: () => void): void {
    this.#onEmpty = act;
    this.#schedule();
  }

  /** Sends what waits, at once as far as the sink keeps up, and calls back behind the last: for the end. */
  finish(act: () => void): void {
    this.#onEmpty = act;
    if (!this.#isBehind) this.#pump();
  }

  /** Sends all that waits now, whether the sink keeps up or not: for the end. */
  flush(): void {
    while (this.#waiting.length > 0) this.#sink.send(this.#nextPiece());
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
    while (this.#waiting.length > 0) {
      if (!this.#sink.send(this.#nextPiece())) {
        this.#isBehind = true;
        this.#sink.onceReady(() => {
          this.#isBehind = false;
          this.#schedule();
        });
        return;
      }
    }
    this.#onEmpty?.();
    this.#onEmpty = undefined;
  }

  #nextPiece(): string {
    let text = '';
    let taken = 0;
    for (const event of this.#waiting) {
      text += `${this.#render(event)}\n`;
      taken += 1;
      if (text.length >= PIECE) break;
    }
    this.#past = Math.max(0, this.#past - taken);
    // What was sent goes, also from a queue that is never empty.
    this.#waiting = this.#waiting.slice(taken);
    return text;
  }
}
