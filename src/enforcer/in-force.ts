import { type HookInForce, hookInForce } from '../datapath/attach.ts';
import type { HookPin, Pins } from '../datapath/pins.ts';
import { actIn } from './netns.ts';
import type { InstanceRecord } from './run-dir.ts';

/** A pinned hook and what runs on it. */
export interface RunningHook extends HookPin, HookInForce {}

/**
 * Those of an instance's pinned hooks whose program runs on its interface. A link tells that from anywhere, a clsact
 * filter in its own network namespace only. Throws SystemError.
 */
export function hooksInForce(pins: Pins, record: InstanceRecord | undefined): RunningHook[] {
  const look = () =>
    pins.hooks().flatMap((hook) => {
      const running = hookInForce(pins, hook);
      return running ? [{ ...hook, ...running }] : [];
    });
  if (record?.attach !== 'clsact') return look();
  return actIn(record.netns, look) ?? []; // a namespace that is gone has taken its filters along
}
