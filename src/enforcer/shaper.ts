import { HOST_POLICY } from '../datapath/compile.ts';
import { SystemError, UsageError } from '../errors.ts';
import { readInterface } from '../libbpf/ifindex.ts';
import { listLinks } from '../netlink/links.ts';
import {
  classPriority,
  listClasses,
  removeClass,
  shapeInterface,
  UNCLASSIFIED_MINOR,
  unshape,
} from '../netlink/shape.ts';
import type { Shaping } from '../policy/shaping.ts';
import { findDefaultInterface, type Present } from './interfaces.ts';
import { actIn } from './netns.ts';
import type { EnforceOptions } from './options.ts';
import type { RecordedClass } from './run-dir.ts';
import type { NumberedSubject, PlacedSubject } from './subjects.ts';

/** The first class that is free for a subject: 1 is that of all behind the interface. */
const FIRST_MINOR = UNCLASSIFIED_MINOR + 1;
const LAST_MINOR = 0xfffe;
const ARPHRD_LOOPBACK = 772;

/** Keeps the rates of subjects on interfaces. What it has set up outlives it: `removeClasses` takes it down. */
export class Shaper {
  readonly #force: boolean;
  #classes: readonly RecordedClass[];

  /** @param before classes that an earlier run of this instance left @param force replace somebody else's qdisc */
  constructor(before: readonly RecordedClass[], force: boolean) {
    this.#classes = before;
    this.#force = force;
  }

  /** What is set up, for the record. */
  get classes(): readonly RecordedClass[] {
    return this.#classes;
  }

  /** What the packets of a subject are marked with, so that they find their class; 0 = none. */
  priorityOf(policyId: number): number {
    const own = this.#classes.find((each) => each.policyId === policyId && !each.netns);
    return own && policyId !== HOST_POLICY ? classPriority(own.minor) : 0;
  }

  /**
   * Shapes subjects that have rates, in place of what was before: on these interfaces, and containers that have a
   * network of their own on the interfaces that lead out of it, as their packets lose the mark when they leave it.
   * Throws TakenError where somebody else's root qdisc is, UsageError, UnsupportedError, SystemError.
   */
  apply(
    subjects: readonly NumberedSubject[],
    ifindexes: readonly number[],
    placed: readonly PlacedSubject[],
  ): void {
    const before = this.#classes;
    const rates = new Map(subjects.map(({ policyId, shaping }) => [policyId, shaping]));
    const wanted: RecordedClass[] = [];
    for (const [policyId, shaping] of rates) {
      if (!shaping) continue;
      const minor = this.#minorOf(policyId, ifindexes, wanted);
      for (const ifindex of ifindexes) {
        wanted.push({ ifindex, policyId, minor });
        put(ifindex, minor, shaping, this.#force);
      }
    }
    for (const { policyId, ownsNetns, netnsCookie, netnsInode } of placed) {
      const shaping = rates.get(policyId);
      if (!shaping || !ownsNetns) continue;
      const netns = { inode: netnsInode, cookie: `${netnsCookie}` };
      const ways = actIn(netns, () => shapeAll(shaping, this.#force)) ?? []; // it has ended meanwhile
      for (const ifindex of ways) wanted.push({ ifindex, policyId, minor: UNCLASSIFIED_MINOR, netns });
    }
    const keys = new Set(wanted.map(keyOf));
    this.#classes = wanted;
    removeClasses(before.filter((each) => !keys.has(keyOf(each))));
  }

  /* The same on all interfaces, for a packet has one priority. Other instances have classes there, too. */
  #minorOf(policyId: number, ifindexes: readonly number[], wanted: readonly RecordedClass[]): number {
    if (policyId === HOST_POLICY) return UNCLASSIFIED_MINOR;
    const own = this.#classes.find((each) => each.policyId === policyId && !each.netns);
    if (own) return own.minor;
    const taken = new Set([
      ...[...this.#classes, ...wanted].map(({ minor }) => minor),
      ...ifindexes.flatMap((ifindex) => listClasses(ifindex).map(({ minor }) => minor)),
    ]);
    for (let minor = FIRST_MINOR; minor <= LAST_MINOR; minor++) if (!taken.has(minor)) return minor;
    throw new SystemError('find a free class to shape by', 'ENOSPC');
  }
}

/* All that leaves a network by whatever way; answers the ways. */
function shapeAll(shaping: Shaping, force: boolean): number[] {
  const ways = listLinks().filter(({ arphrd }) => arphrd !== ARPHRD_LOOPBACK);
  for (const { ifindex } of ways) put(ifindex, UNCLASSIFIED_MINOR, shaping, force);
  return ways.map(({ ifindex }) => ifindex);
}

/**
 * The interfaces on which rates are kept: those that are controlled; of subjects alone those that -eface names, else
 * the default route's. Throws UsageError when one is not there.
 */
export function shapedInterfaces(options: EnforceOptions, present: readonly Present[]): number[] {
  if (!options.policies.some(({ shaping }) => shaping)) return [];
  const ways = present.filter(({ enforces }) => enforces).map(({ ifindex }) => ifindex);
  if (options.policies.some(({ subject }) => subject.kind === 'host')) return ways;
  const names = options.enforced.length > 0 ? options.enforced : [findDefaultInterface('eface')];
  return names.map((name) => {
    const found = readInterface(name);
    if (found) return found.ifindex;
    throw new UsageError(`interface "${name}" is not there: legal is a name that "ip link" shows`);
  });
}

/** Takes classes down, and the qdisc with the last one. Idempotent. Throws SystemError. */
export function removeClasses(classes: readonly RecordedClass[]): void {
  for (const each of classes) {
    // A network that is gone has taken its classes along.
    if (each.netns) actIn(each.netns, () => removeHere(each));
    else removeHere(each);
  }
}

function removeHere({ ifindex, minor }: RecordedClass): void {
  try {
    removeClass(ifindex, minor);
    if (listClasses(ifindex).length === 0) unshape(ifindex);
  } catch (thrown) {
    // The interface is gone, and its classes with it.
    if (!(thrown instanceof SystemError && thrown.code === 'ENODEV')) throw thrown;
  }
}

function put(ifindex: number, minor: number, shaping: Shaping, force: boolean): void {
  shapeInterface(ifindex, [{ minor, ...shaping }], { force });
}

function keyOf({ ifindex, minor, netns }: RecordedClass): string {
  return `${netns?.cookie ?? ''} ${ifindex} ${minor}`;
}
