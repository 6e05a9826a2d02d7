import type { Event, FlowEvent, Packet } from '../flow/event.ts';

/** Targets that are told apart; those past it are counted together. */
const MAX_TARGETS = 1_000;

/** One target that was blocked, with the flag that would allow it. */
export interface Blocked {
  /** A name, or address, port and protocol. */
  readonly target: string;
  readonly reason: string;
  readonly flag: string;
  readonly processes: readonly string[];
  readonly count: number;
}

interface Entry {
  readonly target: string;
  readonly reason: string;
  readonly flag: string;
  readonly processes: Set<string>;
  count: number;
}

/** Collects what was refused, by target: names where they are known. */
export class BlockedTargets {
  readonly #entries = new Map<string, Entry>();
  #others = 0;
  #lost = 0;

  /** Takes any event; those of what passed count for nothing. */
  take(event: Event): void {
    if (event.kind === 'lifecycle') return;
    this.#lost += event.lost;
    if (event.verdict !== 'deny') return;
    const found = describe(event);
    if (!found) return;
    const entry = this.#entries.get(found.target) ?? this.#enter(found);
    if (!entry) {
      this.#others += event.count;
      return;
    }
    entry.count += event.count;
    if (event.process && entry.processes.size < 3) entry.processes.add(event.process.comm);
  }

  /** Most often blocked first. */
  list(): Blocked[] {
    return [...this.#entries.values()]
      .map((entry) => ({ ...entry, processes: [...entry.processes] }))
      .sort((a, b) => b.count - a.count || (a.target < b.target ? -1 : 1));
  }

  /** Blocked attempts at targets past the limit. */
  get others(): number {
    return this.#others;
  }

  /** Events that were lost: there may be targets that nobody knows of. */
  get lost(): number {
    return this.#lost;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  #enter(found: Omit<Entry, 'processes' | 'count'>): Entry | undefined {
    if (this.#entries.size >= MAX_TARGETS) return undefined;
    const entry = { ...found, processes: new Set<string>(), count: 0 };
    this.#entries.set(found.target, entry);
    return entry;
  }
}

function describe(
  event: Exclude<Event, { kind: 'lifecycle' }>,
): Omit<Entry, 'processes' | 'count'> | undefined {
  const { reason } = event;
  if (event.kind === 'dns') {
    const name = event.qname?.replace(/\.$/u, '');
    // An answer that teaches nothing was not refused to anybody.
    if (name === undefined || !reason.startsWith('dns-') || reason === 'dns-inward') return undefined;
    return { target: name, reason, flag: `-name=${name}` };
  }
  const target = targetOf(event.packet);
  if (target === undefined) return { target: 'packets that can not be read', reason, flag: '' };
  const [name] = event.names;
  if (name !== undefined) return { target: `${name} (${target})`, reason, flag: `-name=${name}` };
  return { target, reason, flag: flagOf(event) };
}

function flagOf({ packet }: FlowEvent): string {
  return packet.family === 'unread' ? '' : `-cidr=${packet.dst}`;
}

function targetOf(packet: Packet): string | undefined {
  if (packet.family === 'unread') return undefined;
  const { dst, dport, proto, family } = packet;
  if (dport === undefined) return `${dst}/${proto}`;
  return `${family === 'ipv6' ? `[${dst}]` : dst}:${dport}/${proto}`;
}
