import { LAYOUT } from './layout.ts';
import type { MapSource } from './state.ts';
import { placeOf } from './struct.ts';

/** A learned address with the rules that hold it; `endsAt` in seconds of boot time. */
export interface Learned {
  readonly policyId: number;
  readonly address: Uint8Array;
  readonly leases: readonly { readonly ruleId: number; readonly endsAt: number }[];
}

const POLICY_AT = placeOf('host_key', 'policy')[0];
const ADDR_AT = placeOf('host_key', 'addr')[0];
const [HELD_AT, HELD_BYTES] = placeOf('leases', 'held');
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** All learned addresses, also those whose leases have ended and that were not pruned yet. Throws SystemError. */
export function listLearned(maps: MapSource): Learned[] {
  const learned: Learned[] = [];
  for (const [key, value] of maps.map('learned').entries()) {
    const policyId = viewOf(key).getUint16(POLICY_AT, IS_LITTLE_ENDIAN);
    const address = key.subarray(ADDR_AT, ADDR_AT + LAYOUT.addr.size);
    learned.push({ policyId, address, leases: readHeld(value) });
  }
  return learned;
}

/** The leases of one address; empty when it was not learned. Throws SystemError. */
export function findLearned(maps: MapSource, key: Uint8Array): Learned['leases'] {
  const value = maps.map('learned').get(key);
  return value ? readHeld(value) : [];
}

/* held: rule id << 32 | end of the lease; by halves, for a table may have a million of them. */
function readHeld(value: Buffer): Learned['leases'] {
  const view = viewOf(value);
  const leases: { ruleId: number; endsAt: number }[] = [];
  const [endsAtHalf, ruleHalf] = IS_LITTLE_ENDIAN ? [0, 4] : [4, 0];
  for (let at = HELD_AT; at < HELD_AT + HELD_BYTES; at += 8) {
    const ruleId = view.getUint32(at + ruleHalf, IS_LITTLE_ENDIAN);
    const endsAt = view.getUint32(at + endsAtHalf, IS_LITTLE_ENDIAN);
    if (ruleId !== 0 || endsAt !== 0) leases.push({ ruleId, endsAt });
  }
  return leases;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
