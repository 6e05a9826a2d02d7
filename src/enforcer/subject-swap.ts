import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SubjectCgroup } from '../datapath/subject-cgroup.ts';
import {
  attachMissing,
  attachSubject,
  detachSubject,
  setSubject,
  setSubjectLevels,
} from '../datapath/subject-hooks.ts';
import type { HookContext } from './hooks.ts';
import { nestingOf, type PlacedSubject, remarkUntold } from './subjects.ts';

/** The cgroups of the policies before a swap and after it. */
export interface SubjectChange {
  readonly before: readonly PlacedSubject[];
  readonly after: readonly PlacedSubject[];
  readonly priorityOf: (policyId: number) => number;
  /** Says what is not as it should be, though all policies are in force. */
  readonly remark: (text: string) => void;
}

/**
 * Attaches to the cgroups that come. They are judged from the moment on at which a slot with their policy is in force,
 * so all that can fail, and all that takes time, is done before. Throws UsageError, SystemError: see `abandonSubjects`.
 */
export async function prepareSubjects({ state, pins }: HookContext, change: SubjectChange): Promise<void> {
  setSubjectLevels(state, levels([...change.before, ...change.after]));
  for (const each of coming(change)) {
    remarkUntold(each, attachSubject(state, pins, cgroupOf(each, change)), change.remark);
    await nextTurn();
  }
}

/** Takes back what `prepareSubjects` did. */
export function abandonSubjects({ state, pins }: HookContext, change: SubjectChange): void {
  const stay = new Set(change.before.map(({ id }) => id));
  for (const { id } of coming(change)) if (!stay.has(id)) detachSubject(state, pins, id);
  setSubjectLevels(state, levels(change.before));
}

/** Takes policies off the cgroups that go; nobody is judged by them any more. Throws SystemError. */
export function finishSubjects({ state, pins }: HookContext, change: SubjectChange): void {
  for (const each of change.after) {
    setSubject(state, cgroupOf(each, change));
    try {
      attachMissing(state, pins, each);
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown; // as before, which was said then; or the cgroup has just gone
    }
  }
  const wanted = new Set(change.after.map(({ id }) => id));
  for (const id of pins.subjects()) if (!wanted.has(id)) detachSubject(state, pins, id);
  setSubjectLevels(state, levels(change.after));
}

/* Those that are there already keep their programs. */
function coming({ before, after }: SubjectChange): PlacedSubject[] {
  const known = new Set(before.map(keyOf));
  return after.filter((each) => !known.has(keyOf(each)));
}

function keyOf({ id, policyId }: PlacedSubject): string {
  return `${id} ${policyId}`;
}

function cgroupOf(each: PlacedSubject, { after, priorityOf }: SubjectChange): SubjectCgroup {
  return { ...each, nesting: nestingOf(each, after), priority: priorityOf(each.policyId) };
}

function levels(placed: readonly PlacedSubject[]): number[] {
  return placed.map(({ level }) => level);
}
