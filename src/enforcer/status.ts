import { listLearned } from '../datapath/learned.ts';
import { Pins } from '../datapath/pins.ts';
import { activeEpoch } from '../datapath/policy-slot.ts';
import { ONLY, openPinnedMaps, readCounters } from '../datapath/state.ts';
import { readField, readWide } from '../datapath/struct.ts';
import { isSubjectAttached } from '../datapath/subject-hooks.ts';
import { formatAddress } from '../flow/address.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import type { Direction } from '../libbpf/link.ts';
import { parseSubject } from '../policy/subject.ts';
import { requirePins } from './bpffs.ts';
import { hooksInForce } from './in-force.ts';
import { type InstanceRecord, type RecordedPolicy, RunDir } from './run-dir.ts';

/** How one interface is served. `hooks` holds the directions whose program is in force. */
export interface InterfaceStatus {
  readonly name: string;
  readonly ifindex: number;
  readonly learns: boolean;
  readonly enforces: boolean;
  readonly hooks: readonly Direction[];
}

/** A subject's policy, but for its rules. */
export interface SubjectStatus {
  /** `host`, `cgroup:/…`, `unit:…`, `container:…` and the like. */
  readonly subject: string;
  readonly dns: 'open' | 'strict';
  readonly audit: boolean;
  /** Sentences on what else was set. */
  readonly settings: readonly string[];
  /** The cgroups that it is in force on; none for the host. */
  readonly cgroups: readonly { readonly path: string; readonly attached: boolean }[];
}

/** Counts of one rule since it was first in force. */
export interface RuleStatus {
  readonly rule: string;
  readonly subject: string;
  readonly id: number;
  readonly allowed: number;
  readonly refused: number;
  readonly learned: number;
  readonly evicted: number;
}

/** An address with a live lease. */
export interface LearnedStatus {
  readonly address: string;
  readonly rules: readonly string[];
  readonly endsInSeconds: number;
}

/** What is in force for an instance. */
export interface Status {
  readonly instance: string;
  /** The verdict is in force on every enforced interface that is there, and on every cgroup of a subject. */
  readonly enforcing: boolean;
  readonly pid: number | undefined;
  readonly startedAt: string | undefined;
  readonly subjects: readonly SubjectStatus[];
  readonly resolvers: readonly string[];
  readonly interfaces: readonly InterfaceStatus[];
  readonly rules: readonly RuleStatus[];
  readonly learned: readonly LearnedStatus[];
  readonly counters: { readonly [name: string]: number };
}

/** Reads what is in force from the kernel; no process is asked. Throws UnsupportedError, SystemError. */
export function readStatus(instance: string): Status {
  requirePins();
  const run = new RunDir(instance);
  const pins = new Pins(instance);
  const pid = run.runningPid();
  if (!pins.exist()) return nothingInForce(instance, pid);
  using state = openPinnedMaps(pins);
  const record = run.readRecord(activeEpoch(state));
  const control = state.map('control').get(ONLY);
  const isReady = control !== undefined && readField(control, 'control', 'ready') === 1;
  const interfaces = record ? readInterfaces(record, pins) : readUnrecorded(pins);
  const enforced = interfaces.filter((each) => each.enforces && each.ifindex !== 0);
  const subjects = (record?.policies ?? []).map((each) => readSubject(each, record, pins));
  const cgroups = subjects.flatMap((each) => each.cgroups);
  const subjectOf = new Map(record?.policies.map(({ policyId, subject }) => [policyId, subject]));
  const names = new Map(record?.rules.map(({ id, source }) => [id, source]));
  const now = Number(bootTimeNs() / 1_000_000_000n);
  return {
    instance,
    enforcing:
      isReady &&
      (enforced.length + cgroups.length > 0 || subjects.some(waits)) &&
      enforced.every(({ hooks }) => hooks.includes('egress')) &&
      cgroups.every(({ attached }) => attached),
    pid,
    startedAt: record?.startedAt,
    subjects,
    resolvers: record?.resolvers ?? [],
    interfaces,
    rules: (record?.rules ?? []).map(({ id, source, policyId }) => {
      const key = Buffer.alloc(4);
      key.writeUInt32LE(id);
      const value = state.map('rule_states').get(key);
      const count = (field: 'allowed' | 'refused' | 'learned' | 'evicted') =>
        value ? Number(readWide(value, 'rule_state', field)) : 0;
      return {
        rule: source,
        subject: subjectOf.get(policyId) ?? `#${policyId}`,
        id,
        allowed: count('allowed'),
        refused: count('refused'),
        learned: count('learned'),
        evicted: count('evicted'),
      };
    }),
    learned: listLearned(state).flatMap(({ address, leases }) => {
      const live = leases.filter(({ endsAt, ruleId }) => endsAt > now && names.has(ruleId));
      if (live.length === 0) return [];
      return {
        address: formatAddress(address),
        rules: live.map(({ ruleId }) => names.get(ruleId) ?? `#${ruleId}`),
        endsInSeconds: Math.max(...live.map(({ endsAt }) => endsAt)) - now,
      };
    }),
    counters: readCounters(state),
  };
}

function nothingInForce(instance: string, pid: number | undefined): Status {
  return {
    instance,
    enforcing: false,
    pid,
    startedAt: undefined,
    subjects: [],
    resolvers: [],
    interfaces: [],
    rules: [],
    learned: [],
    counters: {},
  };
}

function readSubject(
  { policyId, subject, dns, audit, settings }: RecordedPolicy,
  record: InstanceRecord | undefined,
  pins: Pins,
): SubjectStatus {
  const cgroups = (record?.cgroups ?? [])
    .filter((each) => each.policyId === policyId)
    .map(({ path, id }) => ({ path, attached: isSubjectAttached(pins, BigInt(id)) }));
  return { subject, dns, audit, settings, cgroups };
}

/* Containers and services come and go: who waits for one enforces. */
function waits({ subject, cgroups }: SubjectStatus): boolean {
  return cgroups.length === 0 && parseSubject(subject).kind !== 'host';
}

/* The record is lost: what is pinned is in force all the same. */
function readUnrecorded(pins: Pins): InterfaceStatus[] {
  const hooks = hooksInForce(pins, undefined);
  return [...new Set(hooks.map(({ ifindex }) => ifindex))].map((ifindex) => {
    const directions = hooks.filter((hook) => hook.ifindex === ifindex).map(({ direction }) => direction);
    return { name: `number ${ifindex}`, ifindex, learns: true, enforces: true, hooks: directions };
  });
}

function readInterfaces(record: InstanceRecord, pins: Pins): InterfaceStatus[] {
  const inForce = hooksInForce(pins, record).filter(({ netns }) => netns === record.netns.inode);
  return record.interfaces.map(({ name, ifindex, learns, enforces }) => {
    const hooks = inForce.filter((hook) => hook.ifindex === ifindex).map(({ direction }) => direction);
    return { name, ifindex, learns, enforces, hooks };
  });
}
