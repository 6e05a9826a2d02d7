import assert from 'node:assert/strict';
import { listLearned } from '../../src/datapath/learned.ts';
import { encodeStruct } from '../../src/datapath/struct.ts';
import { bootTimeNs } from '../../src/libbpf/clock.ts';
import type { Harness } from './harness.ts';

/** How far the coarse clock, which the programs read, may be behind: a tick at 100 Hz, and more. */
const COARSE_NS = 20_000_000n;

/** What a rule should lease. */
export interface ExpectedLease {
  /** Hex of 16 bytes. */
  readonly address: string;
  readonly seconds: number;
}

/**
 * Leases that are expected of many answers, and compared at once with the map of all: a call for each would be most of
 * a fuzz.
 */
export class LeaseBook {
  readonly #datapath: Harness;
  readonly #begun = bootSeconds(COARSE_NS);
  /** Seconds by `address rule`. */
  readonly #expected = new Map<string, number>();

  constructor(datapath: Harness) {
    this.#datapath = datapath;
  }

  expect(rule: number, leases: readonly ExpectedLease[]): void {
    for (const { address, seconds } of leases) {
      const key = `${address} ${rule}`;
      // A shorter answer does not shorten what an earlier one gave.
      this.#expected.set(key, Math.max(this.#expected.get(key) ?? 0, seconds));
    }
  }

  /** Compares, both ways, then forgets all leases. `replay` gives what is to be known of an address that differs. */
  async settle(replay: (address: string) => readonly string[]): Promise<void> {
    const ended = bootSeconds();
    const wrong = (key: string, what: string) => {
      const [address = ''] = key.split(' ');
      assert.fail(`${key}: ${what}; ${replay(address).join('\n')}`);
    };
    const missing = new Map(this.#expected);
    const learned = this.#datapath.state.map('learned');
    for (const { policyId, address, leases } of listLearned(this.#datapath.state)) {
      const hex = Buffer.from(address).toString('hex');
      for (const { ruleId, endsAt } of leases) {
        const key = `${hex} ${ruleId}`;
        const seconds = this.#expected.get(key);
        if (seconds === undefined) wrong(key, `leased until ${endsAt}, nothing expected`);
        else if (endsAt < this.#begun + seconds || endsAt > ended + seconds)
          wrong(key, `leased until ${endsAt}, expected ${seconds} s from ${this.#begun} to ${ended}`);
        missing.delete(key);
      }
      learned.delete(encodeStruct('host_key', { addr: address, policy: policyId }));
    }
    for (const [key, seconds] of missing) wrong(key, `not leased, expected ${seconds} s`);
    await this.#forgetRecords();
  }

  /* The record of a lease that is gone would pass for that of the next one on the same address. */
  async #forgetRecords(): Promise<void> {
    const ring = this.#datapath.state.map('lease_ring');
    const shares = [...this.#datapath.shares.values()];
    const first = Math.min(...shares.map(({ ringBase }) => ringBase));
    const end = Math.max(...shares.map(({ ringBase, ringLength }) => ringBase + ringLength));
    const places = Uint32Array.from({ length: end - first }, (_, index) => first + index);
    const empty = Buffer.alloc(places.length * ring.info.valueBytes);
    await ring.updateBatch(new Uint8Array(places.buffer), empty, places.length);
  }
}

function bootSeconds(beforeNs = 0n): number {
  return Number((bootTimeNs() - beforeNs) / 1_000_000_000n);
}
