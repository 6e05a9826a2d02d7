import type { Event } from '../flow/event.ts';
import { parseJson } from '../flow/parse-json.ts';
import type { PageState } from '../view/state.ts';
import { type StreamMessage, StreamParser } from '../view/stream-parser.ts';

/** How the line to the enforcer is: `refused` until there is another token. */
export type LineState = 'connecting' | 'live' | 'lost' | 'refused';

/** Who is told what comes. */
export interface ConnectionListener {
  line(state: LineState): void;
  inForce(state: PageState): void;
  /** Events in their order, and how many before them were lost. */
  events(events: readonly Event[], lost: number): void;
  /** The enforcer's clock. */
  clock(nowMs: number): void;
}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
/** Three times what the enforcer lets pass between two signs of life. */
const SILENCE_MS = 15_000;

/**
 * Reads the events of the enforcer, and begins again where the line breaks, from the event after the last. It does
 * what EventSource does, but shows the token in a header, so that it is in no URL.
 */
export class Connection {
  readonly #listener: ConnectionListener;
  #over = new AbortController();
  #lastEventId = '';
  #lost = 0;

  constructor(listener: ConnectionListener) {
    this.#listener = listener;
  }

  /** Reads with this token from now on. */
  start(token: string): void {
    this.#over.abort();
    this.#over = new AbortController();
    void this.#keepReading(token, this.#over.signal);
  }

  async #keepReading(token: string, over: AbortSignal): Promise<void> {
    this.#listener.line('connecting');
    let waitMs = FIRST_WAIT_MS;
    while (!over.aborted) {
      const outcome = await this.#read(token, over).catch(() => 'broken' as const);
      if (over.aborted) return;
      if (outcome === 'refused') return this.#listener.line('refused');
      this.#listener.line('lost');
      waitMs = outcome === 'ended' ? FIRST_WAIT_MS : Math.min(2 * waitMs, LONGEST_WAIT_MS);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  /* `ended`: it was live before. */
  async #read(token: string, over: AbortSignal): Promise<'refused' | 'ended' | 'broken'> {
    const silence = new AbortController();
    const from = this.#lastEventId === '' ? {} : { 'Last-Event-ID': this.#lastEventId };
    const response = await fetch('events', {
      headers: { Authorization: `Bearer ${token}`, ...from },
      signal: AbortSignal.any([over, silence.signal]),
    });
    if (response.status === 401 || response.status === 403) return 'refused';
    if (!response.ok || !response.body) return 'broken';
    this.#listener.line('live');
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new StreamParser();
    for (;;) {
      const timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const piece = await reader.read().catch(() => ({ done: true, value: undefined }));
      clearTimeout(timer);
      if (piece.done || piece.value === undefined) return 'ended';
      for (const message of parser.push(piece.value)) this.#take(message);
    }
  }

  #take({ kind, lines, id }: StreamMessage): void {
    if (id !== undefined) this.#lastEventId = id;
    const [first = 'null'] = lines;
    if (kind === 'lost') this.#lost += Number(first);
    else if (kind === 'state') this.#listener.inForce(JSON.parse(first));
    else if (kind === 'beat') this.#listener.clock(Number(JSON.parse(first).now));
    else if (kind === 'events') {
      this.#listener.events(lines.map(parseJson), this.#lost);
      this.#lost = 0;
    }
  }
}
