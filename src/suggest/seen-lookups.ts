import type { Fate, SeenLookup } from './seen.ts';
import { addTo, newTally, type Tally, tallyOf } from './tally.ts';

/** Names that are told apart, of all subjects together. */
const MAX_LOOKUPS = 16_384;
/** Addresses of one name that are kept, the first ones. */
const MAX_LEADS = 64;
/** Addresses of all names of a subject: so many, and so many for each name. */
const MIN_ALL_LEADS = 512;
const LEADS_PER_NAME = 8;

interface Entry extends Tally {
  fate: Fate;
  /** Where its answers led; absent where none was read. */
  leads: string[] | undefined;
}

interface Looker {
  readonly names: Map<string, Entry>;
  leads: number;
  /** Lookups, and addresses of names, that found no room. */
  lookupsLost: number;
  leadsLost: number;
}

/** One lookup, or `count` of a name. */
export interface Looked {
  readonly subject: string;
  /** As `plainName` makes it. */
  readonly name: string;
  readonly fate: Fate;
  readonly timeMs: number;
  readonly count: number;
  readonly rule?: string;
  /** Where its answer led; absent where no answer was read. */
  readonly addresses?: readonly string[];
}

/** A name that passed, and where it led to, for `leadsOf`. */
export interface Lead {
  readonly name: string;
  readonly firstMs: number;
  /** Absent where no answer was read. */
  readonly addresses: readonly string[] | undefined;
}

/**
 * Collects which subject looked up which names, and where they led. Who has more names than others makes room for
 * these once there is none: its oldest are lost, and counted.
 */
export class SeenLookups {
  readonly #lookers = new Map<string, Looker>();
  #size = 0;

  enter({ subject, name, fate, timeMs, count, rule, addresses }: Looked): void {
    const looker = this.#lookers.get(subject) ?? {
      names: new Map<string, Entry>(),
      leads: 0,
      lookupsLost: 0,
      leadsLost: 0,
    };
    this.#lookers.set(subject, looker);
    let entry = looker.names.get(name);
    if (!entry && !this.#makeRoom(looker)) {
      looker.lookupsLost += count;
      return;
    }
    if (!entry) {
      entry = { ...newTally(timeMs), fate, leads: undefined };
      looker.names.set(name, entry);
      this.#size += 1;
    }
    // What passed once is in the list, whatever became of it later, but for what its owner denies.
    if (entry.fate !== 'passed' || fate !== 'refused') entry.fate = fate;
    addTo(entry, timeMs, count, rule);
    if (addresses) addLeads(looker, entry, addresses);
  }

  /** Whether a subject is known to have looked a name up. */
  has(subject: string, name: string): boolean {
    return this.#lookers.get(subject)?.names.has(name) ?? false;
  }

  /** How many lookups of a subject, and how many addresses of its names, found no room. */
  lostOf(subject: string): { readonly lookups: number; readonly leads: number } {
    const { lookupsLost = 0, leadsLost = 0 } = this.#lookers.get(subject) ?? {};
    return { lookups: lookupsLost, leads: leadsLost };
  }

  /** Those that looked something up. */
  subjects(): string[] {
    return [...this.#lookers.keys()];
  }

  /** The names of a subject that passed, and where they led. */
  *leadsOf(subject: string): Generator<Lead> {
    for (const [name, { fate, firstMs, leads }] of this.#lookers.get(subject)?.names ?? [])
      if (fate === 'passed') yield { name, firstMs, addresses: leads };
  }

  /** All of them. */
  *list(): Generator<SeenLookup> {
    for (const [subject, { names }] of this.#lookers)
      for (const [name, entry] of names)
        yield { kind: 'lookup', subject, name, ...tallyOf(entry), fate: entry.fate };
  }

  /* Answers whether there is room for one name more of a subject. */
  #makeRoom(looker: Looker): boolean {
    if (this.#size < MAX_LOOKUPS) return true;
    if (looker.names.size >= MAX_LOOKUPS / this.#lookers.size) return false;
    let most = looker;
    for (const each of this.#lookers.values()) if (each.names.size > most.names.size) most = each;
    const [oldest] = most.names;
    if (most === looker || !oldest) return false;
    const [name, entry] = oldest;
    most.names.delete(name);
    most.leads -= entry.leads?.length ?? 0;
    most.lookupsLost += entry.count;
    this.#size -= 1;
    return true;
  }
}

function addLeads(looker: Looker, entry: Entry, addresses: readonly string[]): void {
  entry.leads ??= [];
  for (const address of addresses) {
    if (entry.leads.includes(address)) continue;
    const room = Math.max(MIN_ALL_LEADS, LEADS_PER_NAME * looker.names.size);
    if (entry.leads.length >= MAX_LEADS || looker.leads >= room) {
      looker.leadsLost += 1;
      continue;
    }
    entry.leads.push(address);
    looker.leads += 1;
  }
}

/** The text of a name by which it is known: in lower case, without a final dot. */
export function plainName(name: string): string {
  const lower = name.toLowerCase();
  return lower.length > 1 && lower.endsWith('.') ? lower.slice(0, -1) : lower;
}
