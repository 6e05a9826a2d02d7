import { existsSync, readdirSync } from 'node:fs';
import { detachHook } from '../datapath/attach.ts';
import { Pins } from '../datapath/pins.ts';
import { detachPinned } from '../datapath/subject-hooks.ts';
import { SystemError } from '../errors.ts';
import { removeClsact } from '../libbpf/clsact.ts';
import { countFilters } from '../netlink/filters.ts';
import { actIn, ownNetns } from './netns.ts';
import { RunDir } from './run-dir.ts';
import { removeClasses } from './shaper.ts';

/** What was taken down, for the owner. */
export interface Removed {
  readonly hooks: number;
  readonly cgroups: number;
  readonly pins: boolean;
}

/**
 * Takes everything of an instance out of the kernel: verdicts first, then what learns, then the pins.
 * Idempotent. Throws SystemError.
 * @param pins where they are, if not where they belong
 */
export function takeDown(instance: string, pins: Pins = new Pins(instance)): Removed {
  const run = new RunDir(instance);
  const record = run.readRecord();
  const hooks = pins.hooks();
  const subjects = pins.subjects();
  for (const id of subjects) detachPinned(pins, id);
  const detach = (isGone: boolean) => {
    for (const direction of ['egress', 'ingress'] as const) {
      for (const hook of hooks.filter((each) => each.direction === direction)) detachHook(pins, hook, isGone);
    }
  };
  // A filter is reached in its own network namespace only, a link from anywhere.
  const isReached = actIn(record?.netns ?? ownNetns(), () => {
    detach(false);
    removeClasses(record?.classes ?? []);
    removeOwnClsact(run.clsactMade());
    return true;
  });
  if (!isReached) detach(true);
  const hadPins = existsSync(pins.root) && readdirSync(pins.root).length > 0;
  pins.remove();
  run.removeFiles();
  return { hooks: hooks.length, cgroups: subjects.length, pins: hadPins };
}

/* The qdisc goes when we made it and nobody else has put a filter on it since. */
function removeOwnClsact(ifindexes: readonly number[]): void {
  for (const ifindex of ifindexes) {
    try {
      if (countFilters(ifindex) === 0) removeClsact(ifindex);
    } catch (thrown) {
      // The interface is gone, and its qdisc with it.
      if (!(thrown instanceof SystemError)) throw thrown;
    }
  }
}
