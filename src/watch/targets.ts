import type { DnsEvent, Event, FlowEvent } from '../flow/event.ts';
import type { Verdict } from '../flow/reason.ts';
import { formatTarget } from '../flow/render-text.ts';
import { safeText } from './width.ts';

/** A row of the table: who went where, how that was judged and why. All texts are safe for a terminal. */
export interface Target {
  readonly verdict: Verdict;
  readonly process: string;
  readonly name: string;
  readonly place: string;
  readonly why: string;
  count: number;
  lastMs: number;
}

/** How rows are ordered. */
export const ORDERS = ['count', 'last', 'name'] as const;
export type Order = (typeof ORDERS)[number];

/** Rows that are kept; past it that of the longest ago is dropped. */
const MAX_TARGETS = 2_000;

/** Verdicts on packets, and on lookups that are not let pass: one that is teaches, and its flow comes. */
export function isCounted(event: Event): event is FlowEvent | DnsEvent {
  if (event.kind === 'flow') return event.reason !== 'ended';
  return event.kind === 'dns' && event.verdict !== 'allow';
}

/** The targets of events, summed up. */
export class Targets {
  readonly #rows = new Map<string, Target>();

  /** Adds a counted event. */
  add(event: FlowEvent | DnsEvent): void {
    const row = rowOf(event);
    const key = [row.verdict, row.process, row.name, row.place, row.why].join('\n');
    const known = this.#rows.get(key) ?? row;
    // The latest stands last.
    this.#rows.delete(key);
    this.#rows.set(key, known);
    known.count += event.count;
    known.lastMs = Math.max(known.lastMs, event.timeMs);
    if (this.#rows.size <= MAX_TARGETS) return;
    const [oldest] = this.#rows.keys();
    if (oldest !== undefined) this.#rows.delete(oldest);
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Those that `wants` lets through, in order. */
  list(order: Order, wants: (target: Target) => boolean): Target[] {
    return [...this.#rows.values()].filter(wants).sort(COMPARE[order]);
  }
}

const COMPARE: { readonly [order in Order]: (a: Target, b: Target) => number } = {
  count: (a, b) => b.count - a.count || b.lastMs - a.lastMs,
  last: (a, b) => b.lastMs - a.lastMs,
  name: (a, b) => compareText(a.name, b.name) || compareText(a.place, b.place),
};

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function rowOf(event: FlowEvent | DnsEvent): Target {
  const { verdict, reason, rule, process, packet } = event;
  const name = event.kind === 'dns' ? (event.qname ?? '-') : (event.names[0] ?? '-');
  // Where a rule allows, the rule says it all.
  const isSaidByRule = rule !== undefined && verdict === 'allow';
  return {
    verdict,
    process: safeText(process?.comm ?? '-'),
    name: safeText(name),
    place: safeText(formatTarget(packet)),
    why: safeText(isSaidByRule ? rule : rule === undefined ? reason : `${reason} ${rule}`),
    count: 0,
    lastMs: 0,
  };
}
