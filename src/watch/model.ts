import type { Event } from '../flow/event.ts';
import type { Key } from './keys.ts';
import { type Wanted, wantsEvent, wantsTarget } from './match.ts';
import { Rates } from './rates.ts';
import { isCounted, ORDERS, type Order, type Target, Targets } from './targets.ts';
import { safeText } from './width.ts';

/** What is known of the enforcer beside its events. */
export interface Vitals {
  readonly enforcing: boolean;
  /** Some subject's policy drops nothing. */
  readonly audit: boolean;
  readonly subjects: readonly string[];
  readonly uptimeSeconds: number | undefined;
  readonly outbound: number;
  readonly inbound: number;
  /** Learned addresses, with those whose leases ended just now. */
  readonly leases: number;
  /** Packets and lookups that were refused, since the first start. */
  readonly refused: number;
  /** Events and entries for which there was no room in the kernel. */
  readonly losses: number;
}

/** What a key asks of whoever runs the view. */
export type Wish = 'quit' | 'suspend' | 'redraw';

/** How many events are kept for the tail. */
const MAX_TAIL = 1_000;
/** Events that come while the view is paused; more are left out of it, and counted. */
const MAX_HELD = 10_000;
const MAX_SEARCH = 64;

/** What the view shows and how: takes events, keys and time, and draws nothing. */
export class WatchModel {
  readonly instance: string;
  readonly #targets = new Targets();
  readonly #rates = new Rates();
  #tail: Event[] = [];
  #held: Event[] = [];
  #vitals: Vitals | undefined;
  #lost = 0;
  #order: Order = 'count';
  #deniesOnly = false;
  #search = '';
  #isSearching = false;
  #isPaused = false;
  #isHelp = false;
  #offset = 0;
  #page = 1;

  constructor(instance: string) {
    this.instance = instance;
  }

  /** Takes an event; while paused it is held back. */
  take(event: Event): void {
    if (!this.#isPaused) this.#show(event);
    else if (this.#held.length < MAX_HELD) this.#held.push(event);
    else this.#lost += 1 + event.lost;
  }

  /** Takes what is known of the enforcer now. */
  know(vitals: Vitals): void {
    this.#vitals = vitals;
  }

  /** How many rows of the table are seen, which the arrows go by. */
  setPage(rows: number): void {
    this.#page = Math.max(1, rows);
  }

  /** Takes a key; answers what the view itself can't do. */
  press(key: Key): Wish | undefined {
    if (key.kind === 'interrupt') return 'quit';
    if (key.kind === 'suspend') return 'suspend';
    if (key.kind === 'redraw') return 'redraw';
    if (this.#isSearching) this.#type(key);
    else if (this.#isHelp) this.#isHelp = false;
    else if (key.kind === 'text') return this.#command(key.text);
    else this.#scroll(key.kind);
    return undefined;
  }

  get vitals(): Vitals | undefined {
    return this.#vitals;
  }

  get order(): Order {
    return this.#order;
  }

  get deniesOnly(): boolean {
    return this.#deniesOnly;
  }

  /** Part of a name, address, process or reason; empty = all. */
  get search(): string {
    return this.#search;
  }

  get isSearching(): boolean {
    return this.#isSearching;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get isHelp(): boolean {
    return this.#isHelp;
  }

  /** Events that wait for the end of the pause. */
  get held(): number {
    return this.#held.length;
  }

  /** Events that the view does not know, because it was slow or paused for long. */
  get lost(): number {
    return this.#lost;
  }

  /** Verdicts in a second. */
  rates(nowMs: number): ReturnType<Rates['at']> {
    return this.#rates.at(nowMs);
  }

  /** The rows that are seen, and the number of the first among all that match. */
  rows(count: number): { readonly rows: readonly Target[]; readonly first: number; readonly all: number } {
    const matching = this.#targets.list(this.#order, (target) => wantsTarget(target, this.#wanted()));
    const first = Math.max(0, Math.min(this.#offset, matching.length - count));
    this.#offset = first;
    return { rows: matching.slice(first, first + count), first, all: matching.length };
  }

  /** The last events that match, the latest last. */
  tail(count: number): readonly Event[] {
    const found: Event[] = [];
    const wanted = this.#wanted();
    for (let at = this.#tail.length - 1; at >= 0 && found.length < count; at--) {
      const event = this.#tail[at];
      if (event && wantsEvent(event, wanted)) found.push(event);
    }
    return found.reverse();
  }

  #wanted(): Wanted {
    return { deniesOnly: this.#deniesOnly, search: this.#search.toLowerCase() };
  }

  #show(event: Event): void {
    this.#lost += event.lost;
    this.#tail.push(event);
    if (this.#tail.length > 2 * MAX_TAIL) this.#tail = this.#tail.slice(-MAX_TAIL);
    if (!isCounted(event)) return;
    this.#targets.add(event);
    this.#rates.add(event.verdict, event.count, event.timeMs);
  }

  #command(text: string): Wish | undefined {
    switch (text) {
      case 'q':
        return 'quit';
      case 'p':
      case ' ':
        this.#pause();
        return undefined;
      case 'd':
        this.#deniesOnly = true;
        this.#offset = 0;
        return undefined;
      case 'a':
        this.#deniesOnly = false;
        this.#search = '';
        return undefined;
      case 's':
        this.#order = ORDERS[(ORDERS.indexOf(this.#order) + 1) % ORDERS.length] ?? 'count';
        this.#offset = 0;
        return undefined;
      case '/':
        this.#isSearching = true;
        this.#search = '';
        return undefined;
      case '?':
      case 'h':
        this.#isHelp = true;
        return undefined;
      default:
        return undefined;
    }
  }

  #pause(): void {
    this.#isPaused = !this.#isPaused;
    if (this.#isPaused) return;
    for (const event of this.#held) this.#show(event);
    this.#held = [];
  }

  #type(key: Key): void {
    this.#offset = 0;
    switch (key.kind) {
      case 'text':
        if (this.#search.length < MAX_SEARCH) this.#search += safeText(key.text);
        return;
      case 'erase':
        this.#search = this.#search.slice(0, -1);
        return;
      case 'escape':
        this.#search = '';
        this.#isSearching = false;
        return;
      case 'enter':
        this.#isSearching = false;
        return;
      default:
        return;
    }
  }

  #scroll(key: string): void {
    const steps = new Map([
      ['up', -1],
      ['down', 1],
      ['page-up', -this.#page],
      ['page-down', this.#page],
      ['home', Number.NEGATIVE_INFINITY],
      ['end', Number.MAX_SAFE_INTEGER],
    ]);
    this.#offset = Math.max(0, this.#offset + (steps.get(key) ?? 0));
  }
}
