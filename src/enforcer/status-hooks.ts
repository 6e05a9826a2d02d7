import type { Pins } from '../datapath/pins.ts';
import { activeEpoch } from '../datapath/policy-slot.ts';
import { type MapSource, ONLY, openPinnedMaps } from '../datapath/state.ts';
import { readField } from '../datapath/struct.ts';
import { type CgroupHookInForce, isSubjectInForce, subjectHooksInForce } from '../datapath/subject-hooks.ts';
import type { Direction } from '../libbpf/link.ts';
import { parseSubject } from '../policy/subject.ts';
import { type OrderedProgram, readOrder } from './attach-order.ts';
import { hooksInForce, type RunningHook } from './in-force.ts';
import { actIn } from './netns.ts';
import { type InstanceRecord, type RecordedPolicy, RunDir } from './run-dir.ts';

/** How one interface is served. `hooks` holds the directions whose program is in force. */
export interface InterfaceStatus {
  readonly name: string;
  readonly ifindex: number;
  readonly learns: boolean;
  readonly enforces: boolean;
  readonly hooks: readonly Direction[];
  /** How programs are attached; absent when the record is lost. */
  readonly attach?: 'tcx' | 'clsact';
  /** What runs on each side, first to run first; absent where its network namespace can't be entered. */
  readonly order?: { readonly [side in Direction]: readonly OrderedProgram[] };
}

/** A cgroup that a subject's policy is for. `attached`: all run that its policy needs; `hooks`: those that do. */
export interface CgroupStatus {
  readonly path: string;
  readonly attached: boolean;
  readonly hooks: readonly string[];
}

/** A subject's policy, but for its rules. */
export interface SubjectStatus {
  /** `host`, `cgroup:/…`, `unit:…`, `container:…` and the like. */
  readonly subject: string;
  /** `flags`, and names of policies in files; absent in records of earlier versions. */
  readonly policies?: readonly string[];
  /** The files that these stand in. */
  readonly files?: readonly string[];
  readonly dns: 'open' | 'strict';
  readonly audit: boolean;
  /** Sentences on what else was set. */
  readonly settings: readonly string[];
  /** The cgroups that it is in force on; none for the host. */
  readonly cgroups: readonly CgroupStatus[];
}

/** Where programs of an instance run. */
export interface HooksStatus {
  /** The verdict is in force on every enforced interface that is there, and on every cgroup of a subject. */
  readonly enforcing: boolean;
  readonly interfaces: readonly InterfaceStatus[];
  readonly subjects: readonly SubjectStatus[];
  /** Ids of all of them. */
  readonly programIds: ReadonlySet<number>;
}

/** Looks where the programs of an instance run. Throws SystemError. */
export function readHooks(state: MapSource, pins: Pins, record: InstanceRecord | undefined): HooksStatus {
  const control = state.map('control').get(ONLY);
  const isReady = control !== undefined && readField(control, 'control', 'ready') === 1;
  return readPinnedHooks(isReady, pins, record);
}

/** As `readHooks`, of pins of any layout; `isReady`: their start was not interrupted. Throws SystemError. */
export function readPinnedHooks(
  isReady: boolean,
  pins: Pins,
  record: InstanceRecord | undefined,
): HooksStatus {
  const running = hooksInForce(pins, record);
  const interfaces = record ? readInterfaces(record, running) : readUnrecorded(running);
  const programIds = new Set(running.map(({ progId }) => progId));
  const subjects = (record?.policies ?? []).map((each) => readSubject(each, record, pins, programIds));
  const cgroups = subjects.flatMap((each) => each.cgroups);
  const enforced = interfaces.filter((each) => each.enforces && each.ifindex !== 0);
  const enforcing =
    isReady &&
    (enforced.length + cgroups.length > 0 || subjects.some(waits)) &&
    enforced.every(({ hooks }) => hooks.includes('egress')) &&
    cgroups.every(({ attached }) => attached);
  return { enforcing, interfaces, subjects, programIds };
}

/** Whether an instance enforces, as its status says. Throws UnsupportedError, SystemError. */
export function isEnforcing(pins: Pins): boolean {
  if (!pins.exist()) return false;
  using state = openPinnedMaps(pins);
  return readHooks(state, pins, new RunDir(pins.instance).readRecord(activeEpoch(state))).enforcing;
}

function readSubject(
  { policyId, subject, names, files, dns, audit, settings }: RecordedPolicy,
  record: InstanceRecord | undefined,
  pins: Pins,
  programIds: Set<number>,
): SubjectStatus {
  const cgroups = (record?.cgroups ?? [])
    .filter((each) => each.policyId === policyId)
    .map(({ path, id }) => {
      const hooks: CgroupHookInForce[] = subjectHooksInForce(pins, BigInt(id));
      for (const { progId } of hooks) programIds.add(progId);
      return { path, attached: isSubjectInForce(hooks), hooks: hooks.map(({ name }) => name) };
    });
  const made = { ...(names && { policies: names }), ...(files && { files }) };
  return { subject, ...made, dns, audit, settings, cgroups };
}

/* Containers and services come and go: who waits for one enforces. */
function waits({ subject, cgroups }: SubjectStatus): boolean {
  return cgroups.length === 0 && parseSubject(subject).kind !== 'host';
}

/* The record is lost: what is pinned is in force all the same. */
function readUnrecorded(hooks: readonly RunningHook[]): InterfaceStatus[] {
  return [...new Set(hooks.map(({ ifindex }) => ifindex))].map((ifindex) => {
    const directions = hooks.filter((hook) => hook.ifindex === ifindex).map(({ direction }) => direction);
    return { name: `number ${ifindex}`, ifindex, learns: true, enforces: true, hooks: directions };
  });
}

function readInterfaces(record: InstanceRecord, running: readonly RunningHook[]): InterfaceStatus[] {
  const inForce = running.filter(({ netns }) => netns === record.netns.inode);
  const orders = actIn(record.netns, () =>
    record.interfaces.map(({ ifindex }) => {
      const own = (side: Direction) =>
        inForce.find((hook) => hook.ifindex === ifindex && hook.direction === side);
      return {
        ingress: ifindex === 0 ? [] : readOrder(ifindex, 'ingress', own('ingress')),
        egress: ifindex === 0 ? [] : readOrder(ifindex, 'egress', own('egress')),
      };
    }),
  );
  return record.interfaces.map(({ name, ifindex, learns, enforces }, index) => {
    const hooks = inForce.filter((hook) => hook.ifindex === ifindex).map(({ direction }) => direction);
    const order = orders?.[index];
    return { name, ifindex, learns, enforces, hooks, attach: record.attach, ...(order && { order }) };
  });
}
