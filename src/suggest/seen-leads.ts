import type { Lead } from './seen-lookups.ts';

/** The kernel tells of one flow in a second to an address and port; its clock and ours are told apart by some more. */
const FOLDED_MS = 5_000;
/** Names between which others get a turn. */
const IN_A_TURN = 512;

/** Which of the names that a subject looked up lead to an address. */
export class SeenLeads {
  readonly #byAddress = new Map<string, Lead[]>();
  readonly #unread = new Map<string, Lead>();

  /** Enters names piece by piece: done where the caller has taken all. */
  *enter(leads: Iterable<Lead>): Generator<undefined, void> {
    let number = 0;
    for (const lead of leads) {
      if (lead.addresses === undefined) this.#unread.set(lead.name, lead);
      for (const address of lead.addresses ?? []) {
        const others = this.#byAddress.get(address);
        if (others) others.push(lead);
        else this.#byAddress.set(address, [lead]);
      }
      number += 1;
      if (number % IN_A_TURN === 0) yield undefined;
    }
  }

  /** Whether where some names lead is not known by their answers. */
  get hasUnread(): boolean {
    return this.#unread.size > 0;
  }

  /**
   * The names that lead to an address and were looked up before something was last sent there, or at the same time.
   * `others`: names that lead there, whoever looked them up; for those whose own answers were not read.
   */
  *namesAt(address: string, lastMs: number, others: readonly string[]): Generator<string> {
    for (const { name, firstMs } of this.#byAddress.get(address) ?? [])
      if (firstMs <= lastMs + FOLDED_MS) yield name;
    for (const other of others) {
      const lead = this.#unread.get(other);
      if (lead && lead.firstMs <= lastMs + FOLDED_MS) yield other;
    }
  }
}
