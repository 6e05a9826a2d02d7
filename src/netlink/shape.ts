import { SystemError, TakenError, UnsupportedError } from '../errors.ts';
import { Change } from './change.ts';
import { decodeHtbRates, encodeHtb, encodeHtbClass, type HtbRates } from './htb.ts';
import { type Link, listLinks } from './links.ts';
import { findRootQdisc, listTcClasses, putTc, ROOT, removeTc, type TcObject } from './qdisc.ts';
import { encodeSplittingQueue, planQueue, SPLITTING_KIND } from './splitting-queue.ts';

/**
 * What one subject may send on an interface, in bits a second of whole frames. It has `rateBitsPerSecond` for itself
 * and takes up to `ceilBitsPerSecond` (absent = the rate) of what the other classes of the interface leave; together
 * they may send the sum of their rates, or the largest ceil if that is more.
 */
export interface ShapedClass {
  /** 1 to 0xfffe; `UNCLASSIFIED_MINOR` is the class of all that names no other. */
  readonly minor: number;
  readonly rateBitsPerSecond: number;
  readonly ceilBitsPerSecond?: number;
}

/** The root qdisc of an interface: what the kernel puts there by itself (or none, as noqueue), our HTB, or somebody else's. */
export type RootQdisc =
  | { readonly kind: 'default'; readonly name: string; readonly handle: number }
  | { readonly kind: 'ours' }
  | { readonly kind: 'foreign'; readonly name: string; readonly handle: number };

/** Packets that name no class go to this one; while there is no class of that minor they are not shaped. */
export const UNCLASSIFIED_MINOR = 1;

/* The handle by which our qdisc is known, 17e9: as in the handles of our filters. */
const OUR_MAJOR = 0x17e9;
const OUR_HANDLE = OUR_MAJOR * 0x10000;
const OUR_KIND = 'htb';
const PARENT_MINOR = 0xffff;
const NO_QUEUE = 'noqueue';
const DIRECT_PACKETS = 1_000;

/**
 * The value of skb->priority (SO_PRIORITY) that puts a packet into class `minor` of an interface; the same on all.
 * Set by a program on cgroup_skb or tc egress of that interface; forwarding and a veth set it to 0.
 */
export function classPriority(minor: number): number {
  if (!Number.isInteger(minor) || minor < 1 || minor >= PARENT_MINOR) {
    throw new RangeError(
      `Cannot shape a class with minor number ${minor}: 1 to ${PARENT_MINOR - 1} is legal`,
    );
  }
  return OUR_HANDLE + minor;
}

/** Whose root qdisc is on an interface of this thread's network namespace. Throws SystemError. */
export function readRootQdisc(ifindex: number): RootQdisc {
  const qdisc = findRootQdisc(ifindex);
  // The kernel gives those that it adds by itself no handle, and any other one. An interface that was never up has none.
  if (qdisc === undefined) return { kind: 'default', name: 'none', handle: 0 };
  const { kind: name, handle } = qdisc;
  if (handle === 0 || name === NO_QUEUE) return { kind: 'default', name, handle };
  return handle === OUR_HANDLE && name === OUR_KIND ? { kind: 'ours' } : { kind: 'foreign', name, handle };
}

/**
 * Shapes what an interface of this thread's network namespace sends: `classes` are added to what is ours there, or
 * changed. At no moment is traffic held up: what has no class yet is sent unshaped. Filters on clsact and tcx are
 * elsewhere and stay. `force` puts our qdisc in place of somebody else's, which is lost: unshape gives the kernel's
 * default. Throws TakenError when somebody else's is there, UnsupportedError (no HTB, no privilege), SystemError (ENODEV).
 */
export function shapeInterface(
  ifindex: number,
  classes: readonly ShapedClass[],
  options: { readonly force?: boolean } = {},
): void {
  for (const { minor } of classes) classPriority(minor);
  const link = findLink(ifindex);
  const isNew = ensureRoot(link, options.force ?? false);
  try {
    putClasses(link, classes);
  } catch (thrown) {
    if (isNew) unshape(ifindex);
    throw thrown;
  }
}

/**
 * Changes the rates of a class, or makes it: what waits in its queue stays there, and what the last packet owes at the
 * old rate is waited for. To be called again when the MTU has grown past 9,216: what is longer would be lost.
 * Throws SystemError (ENOENT: the interface is not shaped by us, ENODEV).
 */
export function updateClass(ifindex: number, shaped: ShapedClass): void {
  classPriority(shaped.minor);
  putClasses(findLink(ifindex), [shaped]);
}

/** Removes a class and what waits in it: its packets are unclassified then. False when there is none. Throws SystemError. */
export function removeClass(ifindex: number, minor: number): boolean {
  const handle = classPriority(minor);
  if (!listClasses(ifindex).some((shaped) => shaped.minor === minor)) return false;
  removeTc('class', { ifindex, handle, parent: 0 });
  putParent(findLink(ifindex), []);
  return true;
}

/** The classes that are in force on an interface of this thread's network namespace, lowest minor first. Throws SystemError. */
export function listClasses(ifindex: number): ShapedClass[] {
  if (readRootQdisc(ifindex).kind !== 'ours') return [];
  const shaped = listTcClasses(ifindex).flatMap((each) => readShapedClass(each) ?? []);
  return shaped.sort((a, b) => a.minor - b.minor);
}

/**
 * Removes our qdisc with its classes, and the kernel puts its default there. False when none of ours is there, be it
 * that somebody else's is, or that the interface is gone. Throws SystemError, UnsupportedError without privilege.
 */
export function unshape(ifindex: number): boolean {
  if (readRootQdisc(ifindex).kind !== 'ours') return false;
  try {
    // The kernel compares the handle, too: EINVAL when somebody has put another one there since.
    removeTc('qdisc', { ifindex, handle: OUR_HANDLE, parent: ROOT });
    return true;
  } catch (thrown) {
    if (hasCode(thrown, 'ENODEV', 'ENOENT', 'EINVAL') && readRootQdisc(ifindex).kind !== 'ours') return false;
    throw thrown;
  }
}

/* Whether it had to be made. */
function ensureRoot({ ifindex, name }: Link, force: boolean): boolean {
  const present = readRootQdisc(ifindex);
  if (present.kind === 'ours') return false;
  if (present.kind === 'foreign' && !force) throw taken(name, present.name);
  // Only what has no handle gives way to EXCL, by which nobody's is lost who comes in between.
  const flags = Change.create | (present.handle === 0 ? Change.exclusive : Change.replace);
  const place = { ifindex, handle: OUR_HANDLE, parent: ROOT };
  try {
    putTc('qdisc', place, flags, OUR_KIND, encodeHtb(UNCLASSIFIED_MINOR, DIRECT_PACKETS));
    return true;
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) throw lacking('HTB (CONFIG_NET_SCH_HTB, module sch_htb)', thrown);
    if (!hasCode(thrown, 'EEXIST')) throw thrown;
    if (readRootQdisc(ifindex).kind === 'ours') return false; // another process of ours was faster
    throw taken(name, 'added just now');
  }
}

function putClasses(link: Link, classes: readonly ShapedClass[]): void {
  putParent(link, classes);
  for (const shaped of classes) putClass(link, shaped);
}

function putClass({ ifindex, mtu }: Link, shaped: ShapedClass): void {
  const rates = ratesOf(shaped);
  const handle = classPriority(shaped.minor);
  const place = { ifindex, handle, parent: OUR_HANDLE + PARENT_MINOR };
  putTc('class', place, Change.create, OUR_KIND, encodeHtbClass(rates, mtu));
  const queue = encodeSplittingQueue(planQueue(rates.ceilBytes, mtu));
  try {
    const below = { ifindex, handle: 0, parent: handle };
    putTc('qdisc', below, Change.create | Change.replace, SPLITTING_KIND, queue);
  } catch (thrown) {
    throw hasCode(thrown, 'ENOENT') ? lacking('TBF (CONFIG_NET_SCH_TBF, module sch_tbf)', thrown) : thrown;
  }
}

/* The class that the others borrow from, made for what is there and `added`. */
function putParent({ ifindex, mtu }: Link, added: readonly ShapedClass[]): void {
  const byMinor = new Map([...listClasses(ifindex), ...added].map((shaped) => [shaped.minor, shaped]));
  if (byMinor.size === 0) return;
  const rates = [...byMinor.values()].map(ratesOf);
  const sum = rates.reduce((all, { rateBytes }) => all + rateBytes, 0);
  const total = Math.max(sum, ...rates.map(({ ceilBytes }) => ceilBytes));
  const place = { ifindex, handle: OUR_HANDLE + PARENT_MINOR, parent: ROOT };
  putTc('class', place, Change.create, OUR_KIND, encodeHtbClass({ rateBytes: total, ceilBytes: total }, mtu));
}

function readShapedClass(tcClass: TcObject): ShapedClass | undefined {
  const minor = tcClass.handle - OUR_HANDLE;
  if (tcClass.kind !== OUR_KIND || minor < 1 || minor >= PARENT_MINOR) return undefined;
  const rates = decodeHtbRates(tcClass.options);
  if (rates === undefined) return undefined;
  const rateBitsPerSecond = rates.rateBytes * 8;
  const ceilBitsPerSecond = rates.ceilBytes * 8;
  return ceilBitsPerSecond === rateBitsPerSecond
    ? { minor, rateBitsPerSecond }
    : { minor, rateBitsPerSecond, ceilBitsPerSecond };
}

function ratesOf({ rateBitsPerSecond, ceilBitsPerSecond }: ShapedClass): HtbRates {
  const rateBytes = Math.max(1, Math.floor(rateBitsPerSecond / 8));
  const ceilBytes = Math.floor((ceilBitsPerSecond ?? rateBitsPerSecond) / 8);
  return { rateBytes, ceilBytes: Math.max(rateBytes, ceilBytes) };
}

function findLink(ifindex: number): Link {
  const link = listLinks().find((each) => each.ifindex === ifindex);
  if (link === undefined) throw new SystemError(`shape interface ${ifindex}`, 'ENODEV');
  return link;
}

function taken(interfaceName: string, qdiscName: string): TakenError {
  return new TakenError(
    `Cannot shape "${interfaceName}": its root qdisc is somebody else's (${qdiscName}), -force replaces it`,
  );
}

function lacking(feature: string, cause: unknown): UnsupportedError {
  return new UnsupportedError(`Cannot shape: the kernel has no ${feature}`, { cause });
}

function hasCode(thrown: unknown, ...codes: readonly string[]): boolean {
  return thrown instanceof SystemError && codes.includes(thrown.code);
}
