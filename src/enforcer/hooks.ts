import { ATTACH_ORDER, type AttachKind, attachHook, detachHook, programsOf } from '../datapath/attach.ts';
import { setEnforced } from '../datapath/host-facts.ts';
import { type HookPin, listAllHooks, Pins } from '../datapath/pins.ts';
import type { DatapathState } from '../datapath/state.ts';
import { TakenError, UsageError } from '../errors.ts';
import { addClsact } from '../libbpf/clsact.ts';
import { hasFilterQdisc } from '../netlink/filters.ts';
import { hooksInForce } from './in-force.ts';
import { findInterface, type Present, type Served } from './interfaces.ts';
import { RunDir } from './run-dir.ts';

/** What holds the hooks of an instance in place. */
export interface HookContext {
  readonly state: DatapathState;
  readonly pins: Pins;
  readonly run: RunDir;
  readonly netns: number;
  readonly kind: AttachKind;
}

/**
 * The interfaces as they are now. Without `wait` one that is absent is an error.
 * Throws UsageError, and TakenError where another instance controls one of them.
 */
export function findPresent(
  plan: readonly Served[],
  instance: string,
  netns: number,
  wait: boolean,
): { present: Present[]; absent: Served[] } {
  const present: Present[] = [];
  const absent: Served[] = [];
  const hooks = listAllHooks().filter(({ hook }) => hook.netns === netns && hook.direction === 'egress');
  for (const served of plan) {
    const found = findInterface(served);
    if (!found) {
      if (!wait)
        throw new UsageError(
          `interface "${served.name}" is not there: legal is a name that "ip link" shows, or -wait to wait for it`,
        );
      absent.push(served);
      continue;
    }
    const other = hooks.find(
      ({ hook, instance: owner }) =>
        owner !== instance && hook.ifindex === found.ifindex && isEnforcedBy(owner, hook),
    );
    if (found.enforces && other) {
      throw new TakenError(
        `interface "${found.name}" is controlled by instance "${other.instance}": stop it first ("l7egg-cli stop -instance=${other.instance}")`,
      );
    }
    present.push(found);
  }
  return { present, absent };
}

/*
 * An instance that only learns there tracks queries on egress, which takes nothing from us. Nor does one whose network
 * namespace is gone, though its pins are left and ours has the same inode now.
 */
function isEnforcedBy(instance: string, { ifindex, direction }: HookPin): boolean {
  const record = new RunDir(instance).readRecord();
  const isEnforced = record?.interfaces.some((each) => each.ifindex === ifindex && each.enforces) ?? true;
  return (
    isEnforced &&
    hooksInForce(new Pins(instance), record).some(
      (hook) => hook.ifindex === ifindex && hook.direction === direction,
    )
  );
}

/** Programs to load for these interfaces; one that comes later may turn out to be of either kind. */
export function programsFor(
  present: readonly Present[],
  absent: readonly Served[],
  isEveryWay: boolean,
): string[] {
  const later = isEveryWay ? [{ learns: false, enforces: true }] : [];
  const roles = [
    ...present,
    ...[...absent, ...later].flatMap((served) => [
      { ...served, hasLinkLayer: true },
      { ...served, hasLinkLayer: false },
    ]),
  ];
  const names = roles.flatMap((role) => Object.values(programsOf(role)));
  return [...new Set([...names, 'l7egg_teach'])];
}

/** Attaches those who learn first; the verdict comes last. `between` runs before the first verdict. */
export async function attachAll(
  context: HookContext,
  present: readonly Present[],
  between: () => Promise<void>,
): Promise<void> {
  setEnforced(
    context.state,
    present.filter((each) => each.enforces).map((each) => each.ifindex),
  );
  for (const each of present) attachOne(context, each, 'ingress');
  for (const each of present.filter(({ enforces }) => !enforces)) attachOne(context, each, 'egress');
  await between();
  for (const each of present.filter(({ enforces }) => enforces)) attachOne(context, each, 'egress');
}

/** Attaches both directions of one interface that came (back). */
export function attachNow(context: HookContext, each: Present): void {
  for (const direction of ATTACH_ORDER) attachOne(context, each, direction);
}

/** Forgets the hooks of an interface that is gone. */
export function dropHooks(context: HookContext, ifindex: number): void {
  for (const direction of ATTACH_ORDER) {
    detachHook(context.pins, { netns: context.netns, ifindex, direction }, true);
  }
}

/** Takes out hooks of an earlier run that this one does not want. */
export function dropOthers(context: HookContext, present: readonly Present[]): void {
  const wanted = new Set(present.map(({ ifindex }) => ifindex));
  for (const hook of context.pins.hooks()) {
    if (hook.netns === context.netns && wanted.has(hook.ifindex)) continue;
    detachHook(context.pins, hook, hook.netns !== context.netns);
  }
}

function attachOne(context: HookContext, each: Present, direction: 'ingress' | 'egress'): void {
  if (context.kind === 'clsact' && !hasFilterQdisc(each.ifindex)) {
    // Noted first: whenever we are killed, who cleans up knows that the qdisc is ours.
    context.run.markClsact(each.ifindex);
    if (!addClsact(each.ifindex)) context.run.unmarkClsact(each.ifindex);
  }
  attachHook(
    context.state,
    context.pins,
    { netns: context.netns, ifindex: each.ifindex, direction },
    each,
    context.kind,
  );
}
