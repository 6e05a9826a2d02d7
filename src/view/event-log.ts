import type { Event } from '../flow/event.ts';
import type { Filter } from '../flow/filter.ts';
import type { Verdict } from '../flow/reason.ts';
import { isAttempt } from './attempt.ts';

/** An event as the page keeps it: `ordinal` goes on where a new run of the enforcer counts from one again. */
export interface Entry {
  readonly ordinal: number;
  readonly event: Event;
}

/** How many attempts had which verdict; `lost`: events that never came. */
export interface Counts extends Record<Verdict, number> {
  events: number;
  lost: number;
}

/**
 * The last events, and those of them that are wanted. While it is paused what comes waits, and the oldest of what
 * waits falls out like any other.
 */
export class EventLog {
  readonly counts: Counts = { allow: 0, deny: 0, would_deny: 0, events: 0, lost: 0 };
  readonly #keep: number;
  #filter: Filter = () => true;
  #entries: Entry[] = [];
  #shown: Entry[] = [];
  #waiting: Entry[] = [];
  #ordinal = 0;
  #isPaused = false;

  /** @param keep how many are kept, and as many may wait */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** Takes events as they come, oldest first; `lost`: how many before them did not. */
  add(events: readonly Event[], lost = 0): void {
    const entries = events.map((event) => ({ ordinal: ++this.#ordinal, event }));
    this.counts.events += events.length;
    this.counts.lost += lost;
    for (const event of events) this.#count(event);
    if (this.#isPaused) this.#waiting = this.#last([...this.#waiting, ...entries]);
    else this.#show(entries);
  }

  /** Those that are wanted, oldest first. The list is another one after each change. */
  get shown(): readonly Entry[] {
    return this.#shown;
  }

  /** How many are kept, wanted or not. */
  get size(): number {
    return this.#entries.length;
  }

  /** How many wait for the end of the pause. */
  get waiting(): number {
    return this.#waiting.length;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Wants others from now on, of those that are kept, too. */
  set filter(filter: Filter) {
    this.#filter = filter;
    this.#shown = this.#entries.filter(({ event }) => filter(event));
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#show(waiting);
  }

  #show(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#entries = this.#last([...this.#entries, ...entries]);
    const wanted = entries.filter(({ event }) => this.#filter(event));
    const oldest = this.#entries[0]?.ordinal ?? 0;
    const from = this.#shown.findIndex(({ ordinal }) => ordinal >= oldest);
    const kept = from < 0 ? [] : this.#shown.slice(from);
    if (wanted.length > 0 || kept.length < this.#shown.length)
      this.#shown = [...kept, ...wanted.filter(({ ordinal }) => ordinal >= oldest)];
  }

  #last(entries: Entry[]): Entry[] {
    return entries.length > this.#keep ? entries.slice(-this.#keep) : entries;
  }

  #count(event: Event): void {
    this.counts.lost += event.lost;
    if (isAttempt(event)) this.counts[event.verdict] += event.count;
  }
}
