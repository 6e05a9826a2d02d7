import { existsSync } from 'node:fs';
import type { Pins } from '../datapath/pins.ts';
import { ONLY, openPinnedMaps } from '../datapath/state.ts';
import { readField, readWide } from '../datapath/struct.ts';
import { TakenError } from '../errors.ts';
import { hooksInForce } from './in-force.ts';
import type { InstanceRecord } from './run-dir.ts';
import { takeDown } from './takedown.ts';

/**
 * Whether there are pins of ours in force to adopt. What an interrupted start left behind, or what was in
 * force in a network namespace that is gone, is taken away. Throws TakenError when that namespace is alive.
 */
export function canAdopt(pins: Pins, cookie: bigint, record: InstanceRecord | undefined): boolean {
  const { instance } = pins;
  if (!pins.exist()) {
    if (existsSync(pins.root)) takeDown(instance);
    return false;
  }
  using state = openPinnedMaps(pins);
  const control = state.map('control').get(ONLY);
  const isReady = control !== undefined && readField(control, 'control', 'ready') === 1;
  const isHere = control !== undefined && readWide(control, 'control', 'netns_cookie') === cookie;
  if (isReady && isHere) return true;
  if (isReady && hooksInForce(pins, record).length > 0) {
    throw new TakenError(
      `instance "${instance}" is in force in another network namespace: stop it first ("l7egg-cli stop -instance=${instance}"), or give this one another name with -instance`,
    );
  }
  takeDown(instance);
  return false;
}
