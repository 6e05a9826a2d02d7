import { isAttached } from '../datapath/attach.ts';
import type { HookPin, Pins } from '../datapath/pins.ts';
import { actIn } from './netns.ts';
import type { InstanceRecord } from './run-dir.ts';

/**
 * Those of an instance's pinned hooks whose program runs on its interface. A link tells that from anywhere, a clsact
 * filter in its own network namespace only. Throws SystemError.
 */
export function hooksInForce(pins: Pins, record: InstanceRecord | undefined): HookPin[] {
  const look = () => pins.hooks().filter((hook) => isAttached(pins, hook));
  if (record?.attach !== 'clsact') return look();
  return actIn(record.netns, look) ?? []; // a namespace that is gone has taken its filters along
}
