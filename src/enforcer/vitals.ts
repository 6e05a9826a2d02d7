import { statSync } from 'node:fs';
import { countFlows } from '../datapath/flow-counts.ts';
import { Pins } from '../datapath/pins.ts';
import { activeEpoch } from '../datapath/policy-slot.ts';
import { openPinnedMaps, readCounters } from '../datapath/state.ts';
import type { Vitals } from '../watch/model.ts';
import { requirePins } from './bpffs.ts';
import { type InstanceRecord, RunDir } from './run-dir.ts';
import { readHooks } from './status-hooks.ts';
import { readProcess } from './status-process.ts';

const COUNT_LIMIT_MS = 200;

/** Reads the vitals of one instance again and again. */
export class VitalsReader {
  readonly #instance: string;
  #record: { readonly key: string; readonly record: InstanceRecord | undefined } | undefined;

  constructor(instance: string) {
    this.#instance = instance;
  }

  /** Undefined when nothing is in force. Throws UnsupportedError, SystemError. */
  read(): Vitals | undefined {
    requirePins();
    const pins = new Pins(this.#instance);
    if (!pins.exist()) return undefined;
    using state = openPinnedMaps(pins);
    const run = new RunDir(this.#instance);
    const record = this.#recordOf(run, activeEpoch(state));
    const { enforcing, subjects } = readHooks(state, pins, record);
    const { outbound, inbound } = countFlows(state);
    const { refused = 0, ring_full = 0, map_full = 0 } = readCounters(state);
    const learned = state.map('learned');
    return {
      enforcing,
      audit: subjects.some(({ audit }) => audit),
      subjects: subjects.map(({ subject }) => subject),
      uptimeSeconds: readProcess(run.runningPid(), undefined)?.uptimeSeconds,
      outbound: outbound.live,
      inbound: inbound.live,
      leases: learned.count(COUNT_LIMIT_MS) ?? learned.info.maxEntries,
      refused,
      losses: ring_full + map_full,
    };
  }

  /* A record of many rules takes long to read, and seldom changes. */
  #recordOf(run: RunDir, epoch: number): InstanceRecord | undefined {
    const stat = statSync(`${run.path}/state.json`, { throwIfNoEntry: false });
    const key = `${epoch} ${stat?.ino} ${stat?.mtimeMs}`;
    if (this.#record?.key !== key) this.#record = { key, record: run.readRecord(epoch) };
    return this.#record.record;
  }
}
