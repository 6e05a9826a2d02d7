import { existsSync } from 'node:fs';
import type { NumberedPolicy } from '../datapath/compile.ts';
import { HOST_POLICY } from '../datapath/compile.ts';
import { LIMITS } from '../datapath/layout.ts';
import type { Pins } from '../datapath/pins.ts';
import type { DatapathState } from '../datapath/state.ts';
import { attachSubject, detachSubject, setSubjectLevels } from '../datapath/subject-hooks.ts';
import { UsageError } from '../errors.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { type CgroupSubject, isContainerSubject, type Subject, subjectText } from '../policy/subject.ts';
import { type CgroupPlace, findPlace, placeAt } from './cgroup-place.ts';
import { netnsInode } from './netns.ts';
import type { RecordedCgroup } from './run-dir.ts';

/** A subject's policy with the number by which the kernel knows it. */
export interface NumberedSubject extends NumberedPolicy, SubjectPolicy {}

/** A cgroup that a subject's policy is for. */
export interface PlacedSubject extends CgroupPlace {
  readonly policyId: number;
  /** Answers teach only in this network namespace. */
  readonly netnsCookie: bigint;
  readonly netnsInode: number;
  /** The namespace is the subject's alone. */
  readonly ownsNetns: boolean;
}

/** The policy ids that the first subject besides the host gets. */
const FIRST_SUBJECT = HOST_POLICY + 1;
const MAX_POLICY = 0xfffe;

/**
 * Gives each subject the number it had, else one that none has had while these pins live: flows and leases of
 * another never serve it.
 */
export function numberSubjects(
  policies: readonly SubjectPolicy[],
  before: readonly { readonly subject: string; readonly policyId: number }[],
  nextPolicyId: number = FIRST_SUBJECT,
): { numbered: NumberedSubject[]; nextPolicyId: number } {
  const known = new Map(before.map(({ subject, policyId }) => [subject, policyId]));
  let next = nextPolicyId;
  const numbered = policies.map((each) => {
    const { subject } = each;
    if (subject.kind === 'host') return { ...each, policyId: HOST_POLICY };
    const policyId = known.get(subjectText(subject)) ?? next++;
    if (policyId > MAX_POLICY)
      throw new RangeError('this instance has had 65,533 subjects: restart it with clean');
    return { ...each, policyId };
  });
  return { numbered, nextPolicyId: next };
}

/**
 * The numbers of subjects before a change. A cgroup that goes by another name now keeps its number, and with it its
 * flows: it is judged all the time. Throws UsageError for a subject that is not there.
 */
export function knownSubjects(
  before: readonly { readonly subject: Subject | string; readonly policyId: number }[],
  cgroups: readonly { readonly policyId: number; readonly id: bigint }[],
  policies: readonly SubjectPolicy[],
): { subject: string; policyId: number }[] {
  const known = before.map(({ subject, policyId }) => ({
    subject: typeof subject === 'string' ? subject : subjectText(subject),
    policyId,
  }));
  const texts = new Set(policies.map(({ subject }) => subjectText(subject)));
  const gone = new Set(known.filter(({ subject }) => !texts.has(subject)).map(({ policyId }) => policyId));
  const free = new Map(cgroups.filter(({ policyId }) => gone.has(policyId)).map((each) => [each.id, each]));
  const had = new Set(known.map(({ subject }) => subject));
  const renamed = policies
    .filter(({ subject }) => !had.has(subjectText(subject)))
    .flatMap(({ subject }) => {
      const [placed] = placeSubjects([{ subject, policyId: 0 }], 0n, findPlace);
      const found = placed && free.get(placed.id);
      if (found) free.delete(placed.id);
      return found ? [{ subject: subjectText(subject), policyId: found.policyId }] : [];
    });
  return [...known, ...renamed];
}

/**
 * The cgroups of subjects that are named by path, unit or process, as `find` finds them; undefined = not there now,
 * and that may be. Throws what `find` throws, UsageError when two are the same cgroup, and when they are at more
 * depths of the tree than programs of interfaces look at.
 */
export function placeSubjects(
  numbered: readonly Pick<NumberedSubject, 'subject' | 'policyId'>[],
  netnsCookie: bigint,
  find: (subject: CgroupSubject, policyId: number) => CgroupPlace | undefined,
): PlacedSubject[] {
  const named = new Map<bigint, string>();
  const placed = numbered.flatMap(({ subject, policyId }) => {
    switch (subject.kind) {
      case 'cgroup':
      case 'unit':
      case 'pid': {
        const place = find(subject, policyId);
        if (!place) return [];
        const [text, other] = [subjectText(subject), named.get(place.id)];
        if (other !== undefined)
          throw new UsageError(
            `subjects "${other}" and "${text}" are the same cgroup "${place.path}": one policy for a cgroup is legal`,
          );
        named.set(place.id, text);
        return [{ ...place, policyId, netnsCookie, netnsInode: netnsInode(), ownsNetns: false }];
      }
      default:
        return []; // all behind an interface, or containers, which are found as they come
    }
  });
  const levels = [...new Set(placed.map(({ level }) => level))].sort((a, b) => a - b);
  if (levels.length > LIMITS.MAX_LEVELS)
    throw new UsageError(
      `subjects are at ${levels.length} depths of the tree of cgroups, ${levels.join(', ')}: ${LIMITS.MAX_LEVELS} are legal`,
    );
  return placed;
}

/** Cgroups of containers that an earlier run of this instance was in force on, as far as they are still there. */
export function recordedContainers(
  numbered: readonly NumberedSubject[],
  cgroups: readonly RecordedCgroup[],
): PlacedSubject[] {
  const ids = new Set(
    numbered.filter(({ subject }) => isContainerSubject(subject)).map(({ policyId }) => policyId),
  );
  return cgroups
    .filter(({ policyId }) => ids.has(policyId))
    .flatMap(({ policyId, path, id, netnsCookie, netnsInode: inode, ownsNetns }) => {
      const place = existsSync(path) ? placeAt(path, `cgroup "${path}"`) : undefined;
      if (place?.id !== BigInt(id)) return []; // the container has ended
      return [{ ...place, policyId, netnsCookie: BigInt(netnsCookie), netnsInode: inode, ownsNetns }];
    });
}

/** In how many of the others' cgroups one lies. */
export function nestingOf({ path }: PlacedSubject, all: readonly PlacedSubject[]): number {
  return all.filter((each) => path.startsWith(`${each.path}/`)).length;
}

/** Puts policies in force on these cgroups and takes them off all others. Throws SystemError. */
export function attachSubjects(
  { state, pins }: { readonly state: DatapathState; readonly pins: Pins },
  placed: readonly PlacedSubject[],
  priorityOf: (policyId: number) => number,
  remark: (text: string) => void,
): void {
  setSubjectLevels(
    state,
    placed.map(({ level }) => level),
  );
  for (const each of placed) {
    const untold = attachSubject(state, pins, {
      ...each,
      nesting: nestingOf(each, placed),
      priority: priorityOf(each.policyId),
    });
    remarkUntold(each, untold, remark);
  }
  const wanted = new Set(placed.map(({ id }) => id));
  for (const id of pins.subjects()) if (!wanted.has(id)) detachSubject(state, pins, id);
}

/** Says that ends of flows of a cgroup are not told, and why; nothing where they are. */
export function remarkUntold(
  { path }: PlacedSubject,
  reason: Error | undefined,
  remark: (text: string) => void,
): void {
  if (!reason) return;
  remark(
    `what TCP connections of cgroup "${path}" carried will not be told; does another sockops program, on it or above, have the hook for itself? ${reason.message}`,
  );
}
