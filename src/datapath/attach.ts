import { renameSync, rmSync } from 'node:fs';
import { SystemError, UsageError } from '../errors.ts';
import { attachFilter, detachFilter, type FilterPlace, queryFilter } from '../libbpf/clsact.ts';
import { attachTcx, BpfLink, type Direction, hasTcx } from '../libbpf/link.ts';
import { pinKind } from '../libbpf/pin.ts';
import type { HookPin, Pins } from './pins.ts';
import type { DatapathState } from './state.ts';

/** What an interface does: DNS answers come in there, its egress is controlled, or both. */
export interface Role {
  readonly learns: boolean;
  readonly enforces: boolean;
  /** False for devices without a link-layer header, such as tun and WireGuard. */
  readonly hasLinkLayer: boolean;
}

/** Hardware types with an Ethernet header (if_arp.h): Ethernet and loopback. */
const ETHERNET_LIKE = new Set([1, 772]);

/* In front of the usual filters. */
const FILTER_PRIORITY = 1;

/** Whether packets of this hardware type (ARPHRD_*) begin with an Ethernet header. */
export function hasLinkLayer(arphrd: number): boolean {
  return ETHERNET_LIKE.has(arphrd);
}

/** The programs that a role needs. An interface that is only enforced still tracks its own queries. */
export function programsOf(role: Role): { ingress: string; egress: string } {
  const suffix = role.hasLinkLayer ? '' : '_l3';
  const ingress = role.learns && role.enforces ? 'l7egg_arrive' : role.learns ? 'l7egg_learn' : 'l7egg_track';
  const egress = role.enforces ? 'l7egg_egress' : 'l7egg_query';
  return { ingress: ingress + suffix, egress: egress + suffix };
}

/** How the kernel takes our programs: tcx links from 6.6 on, clsact filters before. */
export type AttachKind = 'tcx' | 'clsact';

/**
 * Which kind this kernel has. The environment variable L7EGG_ATTACH, tcx or clsact, overrides it: for tests of what
 * older kernels get. Throws UnsupportedError without privilege, UsageError.
 */
export function attachKind(): AttachKind {
  const asked = process.env.L7EGG_ATTACH;
  if (asked === undefined) return hasTcx() ? 'tcx' : 'clsact';
  if (asked === 'tcx' || asked === 'clsact') return asked;
  throw new UsageError(`L7EGG_ATTACH is "${asked}": tcx or clsact is legal`);
}

/**
 * Puts the program of `direction` in force on an interface and pins it; where a pin of ours is in
 * force already, the program in it is replaced with no gap. clsact has to be there. Throws SystemError (ENODEV).
 */
export function attachHook(
  state: DatapathState,
  pins: Pins,
  hook: HookPin,
  role: Role,
  kind: AttachKind,
): void {
  const program = state.program(programsOf(role)[hook.direction]);
  const path = pins.link(hook);
  if (kind === 'clsact') {
    // Pinned before it is in force, so that who cleans up after us finds every filter by its pin.
    const fresh = `${path}-new`;
    rmSync(fresh, { force: true });
    program.pin(fresh);
    renameSync(fresh, path);
    attachFilter(program, placeOf(pins, hook));
    return;
  }
  using pinned = BpfLink.openPinned(path);
  if (pinned) {
    const info = pinned.info();
    if (info.kind === 'tcx' && info.ifindex === hook.ifindex) {
      pinned.update(program);
      return;
    }
    rmSync(path); // its interface is gone, the number was given to another
  }
  using link = attachTcx(program, hook.ifindex, hook.direction);
  link.pin(path);
}

/** What runs of ours on a hook; `linkId` is 0 for a filter. */
export interface HookInForce {
  readonly progId: number;
  readonly linkId: number;
}

/**
 * What is pinned for a hook and runs on its interface. A link tells that from anywhere; a filter is looked for in
 * this thread's network namespace. Throws SystemError.
 */
export function hookInForce(pins: Pins, hook: HookPin): HookInForce | undefined {
  const path = pins.link(hook);
  if (pinKind(path) === 'prog') {
    const progId = ifDevice(() => queryFilter(placeOf(pins, hook)));
    return progId === undefined ? undefined : { progId, linkId: 0 };
  }
  using link = BpfLink.openPinned(path);
  const info = link?.info();
  return info?.kind === 'tcx' && info.ifindex !== 0 ? { progId: info.progId, linkId: info.id } : undefined;
}

/** Takes a hook out of force. `isGone`: its interface or its network namespace is not there any more. Idempotent. */
export function detachHook(pins: Pins, hook: HookPin, isGone: boolean): void {
  const path = pins.link(hook);
  const kind = pinKind(path);
  if (kind === undefined) return;
  if (kind === 'prog') {
    if (!isGone) ifDevice(() => detachFilter(placeOf(pins, hook)));
  } else {
    using link = BpfLink.openPinned(path);
    link?.detach();
  }
  rmSync(path);
}

/* Instances share a priority, where all of them run, and differ by handle: none replaces another's filter. */
function placeOf(pins: Pins, { ifindex, direction }: HookPin): FilterPlace {
  return { ifindex, direction, priority: FILTER_PRIORITY, handle: hash(pins.instance) };
}

/* FNV-1a, 32 bits; a handle is not 0. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0 || 1;
}

/* ENODEV: the interface went away, and the filter with it. */
function ifDevice<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (thrown) {
    if (thrown instanceof SystemError && thrown.code === 'ENODEV') return undefined;
    throw thrown;
  }
}

/** Both directions, in the order of attaching: those who learn first, the verdict last. */
export const ATTACH_ORDER: readonly Direction[] = ['ingress', 'egress'];
