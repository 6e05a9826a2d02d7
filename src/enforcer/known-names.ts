import { setImmediate as nextTurn } from 'node:timers/promises';
import { findLearned, type Learned, learnedInPieces, listLearned } from '../datapath/learned.ts';
import type { DatapathState } from '../datapath/state.ts';
import { encodeStruct } from '../datapath/struct.ts';
import { prune } from '../datapath/teacher.ts';
import type { NameLease } from '../flow/event.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import { addressKey, NameBook } from './book.ts';
import { BookFile } from './book-file.ts';

const PRUNE_MS = 30_000;
/** Leased addresses that are looked at before others get a turn. */
const IN_A_TURN = 2_048;

/** What names are known from, and for whom. */
export interface NameSource {
  readonly state: DatapathState;
  /** Of the file by which the next process knows them. */
  readonly path: string;
  /** The policies in force, by their numbers. */
  policyIds(): readonly number[];
  remark(text: string): void;
}

/**
 * Which names lead where, for events, `status` and `suggest`, and how long their leases go: the kernel's part of it, and
 * the book of names that explains it. Takes leases that have ended out of both.
 */
export class KnownNames implements Disposable {
  readonly book = new NameBook();
  readonly #source: NameSource;
  readonly #file: BookFile;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(source: NameSource) {
    this.#source = source;
    this.#file = new BookFile(source.path, this.book, (text) => source.remark(text));
  }

  /** Begins to take out what has ended. `adopts`: an earlier process wrote down what it knew. */
  begin(adopts: boolean): void {
    if (adopts) this.#file.restore(() => liveAddresses(listLearned(this.#source.state)));
    this.#wait();
  }

  /** Enters what an answer taught, for these rules; 0 = for none, it only explains. */
  enter(name: string, address: Uint8Array, ruleIds: readonly number[]): void {
    for (const ruleId of ruleIds) this.book.enter(name, address, ruleId);
    this.#file.touch();
  }

  /** The names of an address, the latest first. */
  namesOf(addr16: Uint8Array): readonly string[] {
    return this.book.namesOf(addr16);
  }

  /** Names that taught the address for a rule which holds it now. Throws SystemError. */
  leasesOf(policyId: number, addr: Uint8Array): NameLease[] {
    const bootMs = Number(bootTimeNs() / 1_000_000n);
    const ends = new Map(this.#heldOf(policyId, addr).map(({ ruleId, endsAt }) => [ruleId, endsAt * 1_000]));
    return this.book.taughtBy(addr).flatMap(({ name, ruleId }) => {
      const endsAtMs = ends.get(ruleId) ?? 0;
      return endsAtMs > bootMs ? [{ name, endsMs: Date.now() + endsAtMs - bootMs }] : [];
    });
  }

  /** Writes down what is known, for the next process, and ends. */
  saveNow(): void {
    this.#file.saveNow();
    this.close();
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #wait(): void {
    this.#timer = setTimeout(() => void this.#prune(), PRUNE_MS);
  }

  async #prune(): Promise<void> {
    const { state } = this.#source;
    const over: Uint8Array[] = [];
    for (const piece of learnedInPieces(state, IN_A_TURN)) {
      const now = bootSeconds();
      const ended = piece.filter(({ leases }) => leases.every(({ endsAt }) => endsAt <= now));
      for (const [policyId, addresses] of groupByPolicy(ended)) {
        prune(state, policyId, addresses);
        over.push(...addresses);
      }
      await nextTurn();
      if (this.#isClosed) return;
    }
    for (const address of over) if (!this.#isLeased(address)) this.book.forget(address);
    this.#wait();
  }

  /* By another subject, or anew. */
  #isLeased(address: Uint8Array): boolean {
    const now = bootSeconds();
    return this.#source
      .policyIds()
      .some((policyId) => this.#heldOf(policyId, address).some(({ endsAt }) => endsAt > now));
  }

  #heldOf(policyId: number, addr: Uint8Array): Learned['leases'] {
    return findLearned(this.#source.state, encodeStruct('host_key', { addr, policy: policyId }));
  }
}

function bootSeconds(): number {
  return Number(bootTimeNs() / 1_000_000_000n);
}

function liveAddresses(learned: readonly Learned[]): Set<string> {
  const now = bootSeconds();
  return new Set(
    learned.flatMap(({ address, leases }) =>
      leases.some(({ endsAt }) => endsAt > now) ? addressKey(address) : [],
    ),
  );
}

function groupByPolicy(ended: readonly Learned[]): Map<number, Uint8Array[]> {
  const groups = new Map<number, Uint8Array[]>();
  for (const { policyId, address } of ended) {
    const group = groups.get(policyId) ?? [];
    group.push(address);
    groups.set(policyId, group);
  }
  return groups;
}
