import { HOST_POLICY } from '../datapath/compile.ts';
import { SystemError, UsageError } from '../errors.ts';
import { readInterface } from '../libbpf/ifindex.ts';
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
import type { EnforceOptions } from './options.ts';
import type { RecordedClass } from './run-dir.ts';
import type { NumberedSubject } from './subjects.ts';

/** The first class that is free for a subject: 1 is that of all behind the interface. */
const FIRST_MINOR = UNCLASSIFIED_MINOR + 1;
const LAST_MINOR = 0xfffe;

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
    const own = this.#classes.find((each) => each.policyId === policyId);
    return own && policyId !== HOST_POLICY ? classPriority(own.minor) : 0;
  }

  /**
   * Shapes subjects that have rates on these interfaces, in place of what was before. Throws TakenError where somebody
   * else's root qdisc is, UsageError, UnsupportedError, SystemError.
   */
  apply(subjects: readonly NumberedSubject[], ifindexes: readonly number[]): void {
    const shaped = subjects.flatMap(({ policyId, shaping }) => (shaping ? [{ policyId, shaping }] : []));
    const wanted = shaped.flatMap(({ policyId, shaping }) => {
      const minor = this.#minorOf(policyId, ifindexes);
      return ifindexes.map((ifindex) => ({ ifindex, policyId, minor, shaping }));
    });
    for (const { ifindex, minor, shaping } of wanted) put(ifindex, minor, shaping, this.#force);
    const keys = new Set(wanted.map(keyOf));
    removeClasses(this.#classes.filter((each) => !keys.has(keyOf(each))));
    this.#classes = wanted.map(({ ifindex, policyId, minor }) => ({ ifindex, policyId, minor }));
  }

  /* The same on all interfaces, for a packet has one priority. Other instances have classes there, too. */
  #minorOf(policyId: number, ifindexes: readonly number[]): number {
    if (policyId === HOST_POLICY) return UNCLASSIFIED_MINOR;
    const own = this.#classes.find((each) => each.policyId === policyId);
    if (own) return own.minor;
    const taken = new Set([
      ...this.#classes.map(({ minor }) => minor),
      ...ifindexes.flatMap((ifindex) => listClasses(ifindex).map(({ minor }) => minor)),
    ]);
    for (let minor = FIRST_MINOR; minor <= LAST_MINOR; minor++) if (!taken.has(minor)) return minor;
    throw new SystemError('find a free class to shape by', 'ENOSPC');
  }
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
  for (const { ifindex, minor } of classes) {
    try {
      removeClass(ifindex, minor);
      if (listClasses(ifindex).length === 0) unshape(ifindex);
    } catch (thrown) {
      // The interface is gone, and its classes with it.
      if (!(thrown instanceof SystemError && thrown.code === 'ENODEV')) throw thrown;
    }
  }
}

function put(ifindex: number, minor: number, shaping: Shaping, force: boolean): void {
  shapeInterface(ifindex, [{ minor, ...shaping }], { force });
}

function keyOf({ ifindex, minor }: { readonly ifindex: number; readonly minor: number }): string {
  return `${ifindex} ${minor}`;
}
