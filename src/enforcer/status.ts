import { countFlows, type FlowCount } from '../datapath/flow-counts.ts';
import { LIMITS } from '../datapath/layout.ts';
import { Pins } from '../datapath/pins.ts';
import { activeEpoch } from '../datapath/policy-slot.ts';
import { listMapSizes, listProgramSizes, type MapSize, type ProgramSize } from '../datapath/sizes.ts';
import { openPinnedMaps, pinnedLayout, readCounters } from '../datapath/state.ts';
import { requireBpffs, requirePins } from './bpffs.ts';
import type { Explained, NamesFrom, ToldByProcess } from './explained.ts';
import { processHooksInForce } from './process-hooks.ts';
import { RunDir } from './run-dir.ts';
import { type InterfaceStatus, readHooks, readPinnedHooks, type SubjectStatus } from './status-hooks.ts';
import { type ProcessStatus, type ReloadStatus, readProcess, readReload } from './status-process.ts';
import { type LearnedStatus, type RuleStatus, readLearned, readRules } from './status-rules.ts';

/** What was not done for want of room, or was not told. */
export interface Losses {
  /** Events that found the kernel's ring full. */
  readonly ringFull: number;
  /** Entries that found no room in a map. */
  readonly mapFull: number;
  /** Refusals that were not answered, since there were too many of them. */
  readonly repliesLimited: number;
  /** Leases that gave way to others before their end. */
  readonly evicted: number;
  /** Events that readers were too slow for; absent without an answer of the process. */
  readonly lostByReaders?: number;
}

/** What is in force for an instance; `src/presets/l7egg-status-v1.schema.json` describes it. */
export interface Status {
  readonly instance: string;
  /** The verdict is in force on every enforced interface that is there, and on every cgroup of a subject. */
  readonly enforcing: boolean;
  readonly pid: number | undefined;
  readonly startedAt: string | undefined;
  readonly process: ProcessStatus | undefined;
  readonly reload: ReloadStatus | undefined;
  /** Of the pinned maps. Of another than this version's only hooks, and what is written down of them, can be told. */
  readonly layout: number | undefined;
  readonly subjects: readonly SubjectStatus[];
  readonly resolvers: readonly string[];
  readonly interfaces: readonly InterfaceStatus[];
  /** Hooks of the root cgroup that note which process uses a socket. */
  readonly processHooks: readonly string[];
  readonly rules: readonly RuleStatus[];
  readonly namesFrom: NamesFrom;
  readonly learned: readonly LearnedStatus[];
  readonly flows: { readonly outbound: FlowCount; readonly inbound: FlowCount } | undefined;
  readonly counters: { readonly [name: string]: number };
  readonly losses: Losses | undefined;
  readonly maps: readonly MapSize[];
  readonly programs: readonly ProgramSize[];
  /** Of maps and programs, as the kernel tells. */
  readonly memoryBytes: number;
}

/**
 * Reads what is in force from the kernel and the run directory; `explained` adds what a process told. Throws
 * UnsupportedError, SystemError.
 */
export function readStatus(instance: string, explained: Explained): Status {
  requirePins();
  const run = new RunDir(instance);
  const pins = new Pins(instance);
  const pid = run.runningPid();
  if (!pins.exist()) {
    if (pid !== undefined) requireBpffs();
    return nothingInForce(instance, pid);
  }
  const layout = pinnedLayout(pins);
  if (layout !== LIMITS.LAYOUT_VERSION) return ofAnotherLayout(instance, pid, layout);
  using state = openPinnedMaps(pins);
  const record = run.readRecord(activeEpoch(state));
  const { enforcing, interfaces, subjects, programIds } = readHooks(state, pins, record);
  const processHooks = processHooksInForce(pins);
  const { learned, entries } = readLearned(state, record, explained.namesOf);
  const flows = countFlows(state);
  const counters = readCounters(state);
  const known = flows.outbound.isWhole ? [['flows', flows.outbound.entries] as const] : [];
  const maps = listMapSizes(state, new Map([...known, ['learned', entries]]));
  const programs = listProgramSizes([...programIds, ...processHooks.map(({ progId }) => progId)]);
  const memories = [...maps, ...programs].map(({ memoryBytes = 0 }) => memoryBytes);
  return {
    instance,
    enforcing,
    pid,
    startedAt: record?.startedAt,
    process: readProcess(pid, explained.told),
    reload: readReload(run),
    layout,
    subjects,
    resolvers: record?.resolvers ?? [],
    interfaces,
    processHooks: processHooks.map(({ name }) => name),
    rules: record ? readRules(state, record) : [],
    namesFrom: explained.namesFrom,
    learned,
    flows,
    counters,
    losses: readLosses(counters, explained.told),
    maps,
    programs,
    memoryBytes: memories.reduce((sum, bytes) => sum + bytes, 0),
  };
}

function readLosses(counters: Status['counters'], told: ToldByProcess | undefined): Losses {
  const { ring_full = 0, map_full = 0, replies_limited = 0, evicted = 0 } = counters;
  const kernel = { ringFull: ring_full, mapFull: map_full, repliesLimited: replies_limited, evicted };
  return told ? { ...kernel, lostByReaders: told.lostByReaders } : kernel;
}

/* Whoever interrupted such a start can't be told: hooks that run are taken for what they are. */
function ofAnotherLayout(instance: string, pid: number | undefined, layout: number): Status {
  const [pins, record] = [new Pins(instance), new RunDir(instance).readRecord()];
  const { enforcing, interfaces, subjects } = readPinnedHooks(true, pins, record);
  return {
    ...nothingInForce(instance, pid),
    enforcing,
    startedAt: record?.startedAt,
    layout,
    subjects,
    resolvers: record?.resolvers ?? [],
    interfaces,
    processHooks: processHooksInForce(pins).map(({ name }) => name),
  };
}

function nothingInForce(instance: string, pid: number | undefined): Status {
  return {
    instance,
    enforcing: false,
    pid,
    startedAt: undefined,
    process: readProcess(pid, undefined),
    reload: undefined,
    layout: undefined,
    subjects: [],
    resolvers: [],
    interfaces: [],
    processHooks: [],
    rules: [],
    namesFrom: 'nowhere',
    learned: [],
    flows: undefined,
    counters: {},
    losses: undefined,
    maps: [],
    programs: [],
    memoryBytes: 0,
  };
}
