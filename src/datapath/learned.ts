import { LAYOUT } from './layout.ts';
import type { MapSource } from './state.ts';
import { placeOf, readBytes, readField } from './struct.ts';

/** A learned address with the rules that hold it; `endsAt` in seconds of boot time. */
export interface Learned {
  readonly policyId: number;
  readonly address: Uint8Array;
  readonly leases: readonly { readonly ruleId: number; readonly endsAt: number }[];
}

/** All learned addresses, also those whose leases have ended and that were not pruned yet. Throws SystemError. */
export function listLearned(maps: MapSource): Learned[] {
  return [...maps.map('learned').entries()].map(([key, value]) => ({
    policyId: readField(key, 'host_key', 'policy'),
    address: readBytes(key, 'host_key', 'addr'),
    leases: readHeld(value),
  }));
}

/** The leases of one address; empty when it was not learned. Throws SystemError. */
export function findLearned(maps: MapSource, key: Uint8Array): Learned['leases'] {
  const value = maps.map('learned').get(key);
  return value ? readHeld(value) : [];
}

function readHeld(value: Buffer): Learned['leases'] {
  const [offset, size] = placeOf('leases', 'held');
  const leases: { ruleId: number; endsAt: number }[] = [];
  for (let at = offset; at < offset + size; at += LAYOUT.leases.fields.held[1] / 8) {
    const held = value.readBigUInt64LE(at);
    if (held) leases.push({ ruleId: Number(held >> 32n), endsAt: Number(held & 0xffffffffn) });
  }
  return leases;
}
