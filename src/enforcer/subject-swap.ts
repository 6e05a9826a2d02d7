import { setImmediate as nextTurn } from 'node:timers/promises';
import { attachSubject, detachSubject, setSubject, setSubjectLevels } from '../datapath/subject-hooks.ts';
import type { HookContext } from './hooks.ts';
import type { PlacedSubject } from './subjects.ts';

/** The cgroups of the policies before a swap, those that came since included, and those of the policies after it. */
export interface SubjectChange {
  readonly before: readonly PlacedSubject[];
  readonly after: readonly PlacedSubject[];
  priorityOf(policyId: number): number;
}

/**
 * Attaches to the cgroups that come. They are judged from the moment on at which a slot with their policy is in force,
 * so all that can fail, and all that takes time, is done before. `change` is asked again after each. Throws UsageError,
 * SystemError: see `abandonSubjects`.
 */
export async function prepareSubjects(context: HookContext, change: () => SubjectChange): Promise<void> {
  const done = new Set<string>();
  for (;;) {
    const now = change();
    setSubjectLevels(context.state, levels([...now.before, ...now.after]));
    const next = coming(now).find((each) => !done.has(keyOf(each)));
    if (!next) return;
    attach(context, next, now);
    done.add(keyOf(next));
    await nextTurn();
  }
}

/** The same for those that came while the others were attached. */
export function attachComing(context: HookContext, change: SubjectChange): void {
  for (const each of coming(change)) {
    if (!context.pins.subjects().includes(each.id)) attach(context, each, change);
  }
}

/** Takes back what `prepareSubjects` did. */
export function abandonSubjects(
  { state, pins }: HookContext,
  before: readonly PlacedSubject[],
  planned: readonly PlacedSubject[],
): void {
  const stay = new Set(before.map(({ id }) => id));
  for (const { id } of planned) if (!stay.has(id)) detachSubject(state, pins, id);
  setSubjectLevels(state, levels(before));
}

/** Takes policies off all cgroups but these; nobody is judged by them any more. Throws SystemError. */
export function finishSubjects(
  { state, pins }: HookContext,
  placed: readonly PlacedSubject[],
  priorityOf: (policyId: number) => number,
): void {
  for (const each of placed) setSubject(state, { ...each, priority: priorityOf(each.policyId) });
  const wanted = new Set(placed.map(({ id }) => id));
  for (const id of pins.subjects()) if (!wanted.has(id)) detachSubject(state, pins, id);
  setSubjectLevels(state, levels(placed));
}

function attach({ state, pins }: HookContext, each: PlacedSubject, { priorityOf }: SubjectChange): void {
  attachSubject(state, pins, { ...each, priority: priorityOf(each.policyId) });
}

/* Those that are there already keep their programs. */
function coming({ before, after }: SubjectChange): PlacedSubject[] {
  const known = new Set(before.map(keyOf));
  return after.filter((each) => !known.has(keyOf(each)));
}

function keyOf({ id, policyId }: PlacedSubject): string {
  return `${id} ${policyId}`;
}

function levels(placed: readonly PlacedSubject[]): number[] {
  return placed.map(({ level }) => level);
}
