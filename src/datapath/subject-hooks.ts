import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { SystemError, UnsupportedError, UsageError } from '../errors.ts';
import { attachCgroup, BpfLink, CgroupHook, type LinkInfo } from '../libbpf/link.ts';
import { LIMITS } from './layout.ts';
import type { Pins } from './pins.ts';
import { noteUnjudged } from './policy-slot.ts';
import { claimSockets } from './socket-owners.ts';
import type { DatapathState, MapSource } from './state.ts';
import { ONLY } from './state.ts';
import { encodeStruct, placeOf } from './struct.ts';
import type { SubjectCgroup } from './subject-cgroup.ts';

/**
 * In the order of attaching: the first makes the kernel's place for `struct subject`, which is filled before any
 * other is there; who learns comes before who judges. `end` only tells what flows carried: the policy is in force
 * without it, as where somebody's own program has the hook for itself.
 */
const HOOKS = [
  { program: 'l7egg_socket_subject', name: 'socket', hook: CgroupHook.sockCreate },
  { program: 'l7egg_enter_subject', name: 'enter', hook: CgroupHook.skbIngress },
  { program: 'l7egg_send4_subject', name: 'send4', hook: CgroupHook.udp4Sendmsg },
  { program: 'l7egg_send6_subject', name: 'send6', hook: CgroupHook.udp6Sendmsg },
  { program: 'l7egg_end_subject', name: 'end', hook: CgroupHook.sockOps },
  { program: 'l7egg_call4_subject', name: 'call4', hook: CgroupHook.inet4Connect },
  { program: 'l7egg_call6_subject', name: 'call6', hook: CgroupHook.inet6Connect },
  { program: 'l7egg_leave_subject', name: 'leave', hook: CgroupHook.skbEgress },
] as const;
type SubjectHook = (typeof HOOKS)[number];
const TELLS_ENDS = 'end';

/** The programs of subjects. */
export const SUBJECT_PROGRAMS: readonly string[] = HOOKS.map(({ program }) => program);

/**
 * Puts the policy of a subject in force on its cgroup, and pins that; what is pinned already is replaced with no gap.
 * The cgroup is judged from the moment on at which a policy of that number is in the slot in force.
 * Answers why ends of its flows are not told, `undefined` where they are. Throws SystemError, with nothing of it left
 * when it was not in force before.
 */
export function attachSubject(
  state: DatapathState,
  pins: Pins,
  subject: SubjectCgroup,
): SystemError | UnsupportedError | undefined {
  const directory = openSync(subject.path, 'r');
  const wasInForce = existsSync(pins.subjectLink(subject.id, 'leave'));
  let untold: SystemError | UnsupportedError | undefined;
  try {
    HOOKS.forEach((each, index) => {
      try {
        attachOrUpdate(state, pins, subject.id, directory, each);
      } catch (thrown) {
        if (each.name !== TELLS_ENDS || !isOfSystem(thrown)) throw thrown;
        untold = thrown;
      }
      if (index === 0) setSubject(state, subject);
    });
    if (!wasInForce) claimSockets(state, subject);
    state.map('subject_cgroups').set(u64(subject.id), u32(subject.policyId));
  } catch (thrown) {
    if (!wasInForce) detachSubject(state, pins, subject.id);
    throw thrown;
  } finally {
    closeSync(directory);
  }
  return untold;
}

/** Attaches what tells the ends of flows to a subject that is in force, where that could not be done before. Throws SystemError. */
export function attachMissing(
  state: DatapathState,
  pins: Pins,
  { id, path }: Pick<SubjectCgroup, 'id' | 'path'>,
): void {
  for (const each of HOOKS) {
    if (each.name !== TELLS_ENDS) continue;
    const directory = openSync(path, 'r');
    try {
      attachOrUpdate(state, pins, id, directory, each);
    } finally {
      closeSync(directory);
    }
  }
}

function attachOrUpdate(
  state: DatapathState,
  pins: Pins,
  id: bigint,
  directory: number,
  { program, name, hook }: SubjectHook,
): void {
  const path = pins.subjectLink(id, name);
  using pinned = BpfLink.openPinned(path);
  if (pinned && isOn(pinned, id)) {
    pinned.update(state.program(program));
    return;
  }
  if (pinned) rmSync(path); // somebody took it off
  using link = attachCgroup(state.program(program), directory, hook);
  link.pin(path);
}

function isOfSystem(thrown: unknown): thrown is SystemError | UnsupportedError {
  return thrown instanceof SystemError || thrown instanceof UnsupportedError;
}

/** Takes a subject's policy off its cgroup, the verdict first. Idempotent. */
export function detachSubject(state: MapSource, pins: Pins, id: bigint): void {
  state.map('subject_cgroups').delete(u64(id));
  detachPinned(pins, id);
}

/** As `detachSubject`, where the maps are about to go. */
export function detachPinned(pins: Pins, id: bigint): void {
  for (const { name } of [...HOOKS].reverse()) {
    const path = pins.subjectLink(id, name);
    if (!existsSync(path)) continue;
    using link = BpfLink.openPinned(path);
    link?.detach();
    rmSync(path);
  }
}

/** How many hooks a subject's cgroup has. */
export const SUBJECT_HOOKS = HOOKS.length;

/** A hook of a cgroup with a program of ours that runs. */
export interface CgroupHookInForce {
  readonly name: string;
  readonly progId: number;
}

/** Whether all of them run that a subject's policy needs to be in force. */
export function isSubjectInForce(running: readonly CgroupHookInForce[]): boolean {
  const names = new Set(running.map(({ name }) => name));
  return HOOKS.every(({ name }) => name === TELLS_ENDS || names.has(name));
}

/** The hooks of a subject that run, `SUBJECT_HOOKS` where all do: a cgroup that is gone has taken them along. */
export function subjectHooksInForce(pins: Pins, id: bigint): CgroupHookInForce[] {
  return HOOKS.flatMap(({ name }) => {
    using link = BpfLink.openPinned(pins.subjectLink(id, name));
    const info = link?.info();
    return info && isInfoOn(info, id) ? [{ name, progId: info.progId }] : [];
  });
}

/* One that was taken off is on no cgroup. */
function isOn(link: BpfLink, cgroupId: bigint): boolean {
  return isInfoOn(link.info(), cgroupId);
}

function isInfoOn(info: LinkInfo, cgroupId: bigint): boolean {
  return info.kind === 'cgroup' && info.cgroupId === cgroupId;
}

/**
 * Tells the programs of interfaces how deep in the tree of cgroups there are subjects, so that they let them be.
 * Throws UsageError for too many depths.
 */
export function setSubjectLevels(state: MapSource, levels: readonly number[]): void {
  const control = state.map('control').get(ONLY);
  if (!control) throw new RangeError('no control entry');
  const [at, size] = placeOf('control', 'subject_levels');
  const unique = [...new Set(levels)];
  if (unique.length > size) {
    throw new UsageError(
      `subjects are at ${unique.length} different depths of the tree of cgroups: at most ${size} are legal`,
    );
  }
  for (let index = 0; index < size; index++) control.writeUInt8(unique[index] ?? 0, at + index);
  noteUnjudged(control);
  state.map('control').set(ONLY, control);
}

/** Says what the hooks on a subject's cgroup go by; the first of them has to be there. Throws SystemError. */
export function setSubject(
  state: DatapathState,
  { id, policyId, level, nesting, netnsCookie, ownsNetns, priority }: SubjectCgroup,
): void {
  const value = encodeStruct('subject', {
    policy: policyId,
    flags: ownsNetns ? LIMITS.SUBJECT_OWN_NETNS : 0,
    netns_cookie: netnsCookie,
    priority,
    level,
    cgroup_id: id,
    nesting: nesting % LIMITS.MAX_NESTING,
  });
  state.map('subjects').set(u64(id), value);
}

function u64(value: bigint): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function u32(value: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
