import { NAMES_OF_ADDRESS, type SeenFlow } from './seen.ts';
import type { SeenLeads } from './seen-leads.ts';
import { plainName } from './seen-lookups.ts';

/** Flows of a subject that no event told of. */
const MAX_ADDED = 65_536;

/** Names that lead to an address, the first `NAMES_OF_ADDRESS` at most. */
export type NamesOf = (address: string) => readonly string[];

interface Place {
  readonly flow: SeenFlow;
  readonly address: string;
  lastMs: number;
}

/**
 * Calls of one subject by names that no event told of, as the first packets of their flows were folded into another's:
 * names that the subject looked up, and that lead where it sent something. What finds no room, or can't be known, is
 * counted. Every place is looked at once, so that its work is bounded by what is known and what is added.
 */
export class FoldedFlows {
  readonly #leads: SeenLeads;
  readonly #namesOf: NamesOf;
  readonly #places = new Map<string, Place>();
  readonly #added = new Set<string>();
  readonly #crowded = new Set<string>();
  #left = 0;

  /** @param namesOf names that lead to an address, whoever asked */
  constructor(leads: SeenLeads, namesOf: NamesOf) {
    this.#leads = leads;
    this.#namesOf = namesOf;
  }

  /** Takes a flow that an event told of. */
  take(flow: SeenFlow): void {
    if (flow.fate !== 'passed' || flow.way !== 'call') return;
    for (const address of flow.addresses) {
      const key = `${flow.l4Proto} ${flow.port} ${address}`;
      const place = this.#places.get(key);
      if (place) place.lastMs = Math.max(place.lastMs, flow.lastMs);
      else this.#places.set(key, { flow, address, lastMs: flow.lastMs });
    }
  }

  /** The flows to add, piece by piece. `isTold`: whether an event told of a call by a name like this flow. */
  *flows(isTold: (flow: SeenFlow, name: string) => boolean): Generator<SeenFlow | undefined> {
    for (const { flow, address, lastMs } of this.#places.values()) {
      const others = this.#namesOf(address).map(plainName);
      if (others.length >= NAMES_OF_ADDRESS && this.#leads.hasUnread) this.#crowded.add(address);
      for (const name of this.#leads.namesAt(address, lastMs, others)) {
        const key = `${flow.l4Proto} ${flow.port} ${name}`;
        if (this.#added.has(key) || isTold(flow, name)) {
          yield undefined;
          continue;
        }
        if (this.#added.size >= MAX_ADDED) {
          this.#left += 1;
          break;
        }
        this.#added.add(key);
        yield { ...flow, name, addresses: [address], hasMore: false };
      }
      yield undefined;
    }
  }

  /** How many addresses may have names that are not added. */
  get missing(): number {
    return this.#left + this.#crowded.size;
  }
}
