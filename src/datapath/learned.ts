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
  maps.map('learned').visit((keys, keyAt, values, valueAt) => {
    learned.push(readLearned(keys, keyAt, values, valueAt));
  }, Number.POSITIVE_INFINITY);
  return learned;
}

/** As `listLearned`, some of them at a time: for who gives others a turn between. Throws SystemError. */
export function* learnedInPieces(maps: MapSource, most: number): Generator<Learned[]> {
  const map = maps.map('learned');
  const { keyBytes, valueBytes } = map.info;
  for (const { keys, values, count } of map.batches(most)) {
    const keyView = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
    const valueView = new DataView(values.buffer, values.byteOffset, values.byteLength);
    yield Array.from({ length: count }, (_, i) =>
      readLearned(keyView, i * keyBytes, valueView, i * valueBytes),
    );
  }
}

function readLearned(keys: DataView, keyAt: number, values: DataView, valueAt: number): Learned {
  const policyId = keys.getUint16(keyAt + POLICY_AT, IS_LITTLE_ENDIAN);
  const address = Buffer.allocUnsafe(LAYOUT.addr.size);
  address.set(new Uint8Array(keys.buffer, keys.byteOffset + keyAt + ADDR_AT, LAYOUT.addr.size));
  return { policyId, address, leases: readHeld(values, valueAt) };
}

/** The leases of one address; empty when it was not learned. Throws SystemError. */
export function findLearned(maps: MapSource, key: Uint8Array): Learned['leases'] {
  const value = maps.map('learned').get(key);
  return value ? readHeld(new DataView(value.buffer, value.byteOffset, value.byteLength), 0) : [];
}

/* held: rule id << 32 | end of the lease; by halves, for a table may have a million of them. */
function readHeld(values: DataView, valueAt: number): Learned['leases'] {
  const leases: { ruleId: number; endsAt: number }[] = [];
  const [endsAtHalf, ruleHalf] = IS_LITTLE_ENDIAN ? [0, 4] : [4, 0];
  const first = valueAt + HELD_AT;
  for (let at = first; at < first + HELD_BYTES; at += 8) {
    const ruleId = values.getUint32(at + ruleHalf, IS_LITTLE_ENDIAN);
    const endsAt = values.getUint32(at + endsAtHalf, IS_LITTLE_ENDIAN);
    if (ruleId !== 0 || endsAt !== 0) leases.push({ ruleId, endsAt });
  }
  return leases;
}
