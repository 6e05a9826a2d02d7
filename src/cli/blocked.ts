import type { DnsEvent, Event, FlowEvent, Packet } from '../flow/event.ts';
import { type InForce, remedyOfFlow, remedyOfLookup } from '../view/remedy.ts';

/** Targets that are told apart; those past it are counted together. */
const MAX_TARGETS = 1_000;
const MAX_PROGRAMS = 3;

/** Packets that name no target. */
const UNREAD: readonly string[] = ['ethertype', 'unreadable', 'mapped'];

/** What happened to an attempt: it was refused, or passed because of audit. */
export type Fate = 'blocked' | 'audited';

/** One target that was blocked, with the flags that would allow it. */
export interface Blocked {
  /** A name that was looked up, or address, port and protocol. */
  readonly target: string;
  readonly fate: Fate;
  readonly isLookup: boolean;
  readonly reason: string;
  /** Empty when no flag would. */
  readonly remedy: string;
  /** The first few programs that tried. */
  readonly programs: readonly string[];
  /** Lookups, of A and AAAA apart; calls and packets. */
  readonly count: number;
}

type Found = Omit<Blocked, 'programs' | 'count'>;

interface Entry extends Found {
  readonly seen: Set<string>;
  count: number;
}

/** Collects what was refused, by target: names where they are known. */
export class BlockedTargets {
  readonly #inForce: InForce;
  readonly #entries = new Map<string, Entry>();
  #others = 0;
  #lost = 0;

  constructor(inForce: InForce) {
    this.#inForce = inForce;
  }

  /** Takes any event; those of what passed count for nothing. */
  take(event: Event): void {
    if (event.kind === 'lifecycle' || event.kind === 'policy') return;
    this.#lost += event.lost;
    if (event.verdict === 'allow') return;
    const found = describe(event, this.#inForce);
    if (!found) return;
    const key = `${found.fate} ${found.target}`;
    const entry = this.#entries.get(key) ?? this.#enter(key, found);
    if (!entry) {
      this.#others += event.count;
      return;
    }
    entry.count += event.count;
    if (event.process && entry.seen.size < MAX_PROGRAMS) entry.seen.add(event.process.comm);
  }

  /** Those of one fate, most often tried first. */
  list(fate: Fate): Blocked[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.fate === fate)
      .map(({ seen, ...entry }) => ({ ...entry, programs: [...seen] }))
      .sort((a, b) => b.count - a.count || (a.target < b.target ? -1 : 1));
  }

  /** Attempts at targets past the limit. */
  get others(): number {
    return this.#others;
  }

  /** Events that were lost: there may be targets that nobody knows of. */
  get lost(): number {
    return this.#lost;
  }

  /** Whether anything was refused. */
  get hasBlocked(): boolean {
    return [...this.#entries.values()].some(({ fate }) => fate === 'blocked');
  }

  #enter(key: string, found: Found): Entry | undefined {
    if (this.#entries.size >= MAX_TARGETS) return undefined;
    const entry = { ...found, seen: new Set<string>(), count: 0 };
    this.#entries.set(key, entry);
    return entry;
  }
}

function describe(event: DnsEvent | FlowEvent, inForce: InForce): Found | undefined {
  const fate = event.verdict === 'deny' ? 'blocked' : 'audited';
  const { reason } = event;
  if (event.kind === 'dns') {
    // An answer that teaches nothing was not refused to anybody.
    if (!reason.startsWith('dns-') || reason === 'dns-inward' || reason === 'dns-unparsed') return undefined;
    const name = event.qname?.replace(/\.$/u, '');
    const target = name === undefined ? 'a lookup that can not be read' : name || '.';
    return { target, fate, isLookup: true, reason, remedy: remedyOfLookup(event) };
  }
  const target = UNREAD.includes(reason) ? undefined : targetOf(event.packet);
  if (target === undefined)
    return { target: 'packets that can not be read', fate, isLookup: false, reason, remedy: '' };
  const [name] = event.names;
  return {
    target: name === undefined ? target : `${name} (${target})`,
    fate,
    isLookup: false,
    reason,
    remedy: remedyOfFlow(event, inForce),
  };
}

function targetOf(packet: Packet): string | undefined {
  if (packet.family === 'unread') return undefined;
  const { dst, dport, proto, family } = packet;
  if (dport === undefined) return `${dst}/${proto}`;
  return `${family === 'ipv6' ? `[${dst}]` : dst}:${dport}/${proto}`;
}
