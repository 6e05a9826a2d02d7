import type { Event } from './event.ts';

/** Takes events one by one. */
export interface EventReader {
  /** Answers whether it took the event; one that it did not take is lost to it, and the next says how many were. */
  take(event: Event): boolean;
}

interface Subscription {
  readonly reader: EventReader;
  readonly wants: (event: Event) => boolean;
  lost: number;
}

/**
 * Hands events to whoever reads them, and keeps the last ones for who comes later. No reader waits for another: one
 * that does not keep up loses events, and its next one says how many.
 */
export class EventFeed {
  readonly #keep: number;
  readonly #kept: Event[] = [];
  readonly #subscriptions = new Set<Subscription>();
  #next = 0;
  #published = 0;
  #lost = 0;

  /** @param keep how many of the last events are kept */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** Hands an event to every reader that wants it. */
  publish(event: Event): void {
    this.#published += 1;
    this.#remember(event);
    for (const subscription of this.#subscriptions) if (!deliver(subscription, event)) this.#lost += 1;
  }

  /** The kept events that `wants` lets through, oldest first; each says what was lost since the one before it. */
  past(wants: (event: Event) => boolean = () => true): Event[] {
    const taken: Event[] = [];
    const reader = { take: (event: Event) => taken.push(event) > 0 };
    const subscription = { reader, wants, lost: 0 };
    for (const event of this.#kept.slice(this.#next)) deliver(subscription, event);
    for (const event of this.#kept.slice(0, this.#next)) deliver(subscription, event);
    return taken;
  }

  /**
   * As `past`, `most` looked at from one step to the next: for who gives others a turn between. What comes meanwhile is
   * among what it answers; what went meanwhile, unseen, counts as lost.
   */
  *pastInPieces(wants: (event: Event) => boolean, most: number): Generator<void, Event[]> {
    const taken: Event[] = [];
    const reader = { take: (event: Event) => taken.push(event) > 0 };
    const subscription = { reader, wants, lost: 0 };
    const looked = this.after(0, this.#keep).at(-1)?.seq ?? 0;
    let seq = 0;
    for (;;) {
      // The last step has no end of its own: from there on the caller follows.
      const piece = this.after(seq, seq < looked ? most : this.#keep);
      for (const event of piece) {
        if (seq > 0) subscription.lost += event.seq - seq - 1;
        deliver(subscription, event);
        seq = event.seq;
      }
      if (piece.length === 0 || (piece.length < most && seq >= looked)) return taken;
      yield;
    }
  }

  /** How many events there were. */
  get published(): number {
    return this.#published;
  }

  /** How many events readers did not take, of all readers together. */
  get lost(): number {
    return this.#lost;
  }

  /** At most `most` kept events whose `seq` is above `seq`, oldest first: for who reads at its own pace. */
  after(seq: number, most: number): Event[] {
    const size = this.#kept.length;
    const at = (index: number): Event | undefined => this.#kept[(this.#start + index) % size];
    let [low, high] = [0, size];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((at(middle)?.seq ?? 0) > seq) high = middle;
      else low = middle + 1;
    }
    const found: Event[] = [];
    for (let index = low; index < Math.min(size, low + most); index += 1) {
      const event = at(index);
      if (event) found.push(event);
    }
    return found;
  }

  /** How many readers there are. */
  get readers(): number {
    return this.#subscriptions.size;
  }

  /** Hands `reader` what comes from now on and `wants` lets through, until the answer is disposed of. Idempotent. */
  subscribe(reader: EventReader, wants: (event: Event) => boolean = () => true): Disposable {
    const subscription: Subscription = { reader, wants, lost: 0 };
    this.#subscriptions.add(subscription);
    return { [Symbol.dispose]: () => this.#subscriptions.delete(subscription) };
  }

  /* Where the oldest is. */
  get #start(): number {
    return this.#kept.length < this.#keep ? 0 : this.#next;
  }

  #remember(event: Event): void {
    if (this.#keep === 0) return;
    this.#kept[this.#next] = event;
    this.#next = (this.#next + 1) % this.#keep;
  }
}

/*
 * Answers false when the reader lost it. What was lost before an event that a reader does not want is lost to it all the
 * same.
 */
function deliver(subscription: Subscription, event: Event): boolean {
  const { reader, wants, lost } = subscription;
  if (!wants(event)) {
    subscription.lost += event.lost;
    return true;
  }
  const told = lost > 0 ? { ...event, lost: event.lost + lost } : event;
  const isTaken = reader.take(told);
  subscription.lost = isTaken ? 0 : told.lost + 1;
  return isTaken;
}
