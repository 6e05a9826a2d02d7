import { Protocol, protocolWord } from '../flow/protocol.ts';
import { LIMITS } from './layout.ts';
import type { MapSource, StateMapName } from './state.ts';
import { placeOf } from './struct.ts';

/**
 * Flows of one direction. `live`: those that packets still match, by protocol in `byProtocol`; `entries`: with those
 * that have ended and were not overwritten yet. `isWhole`: false = there was no time to count all.
 */
export interface FlowCount {
  readonly live: number;
  readonly byProtocol: { readonly [word: string]: number };
  readonly entries: number;
  readonly maxEntries: number;
  readonly isWhole: boolean;
}

/* Of bpf/flow.h: how long a flow without an end of its own, and one after FIN, is matched. */
const UDP_IDLE_NS = 60_000_000_000n;
const FIN_IDLE_NS = 120_000_000_000n;
const COUNT_LIMIT_MS = 300;

const PROTO_AT = placeOf('flow_key', 'l4_proto')[0];
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Counts what this host began, and what others began with it. Bounded in time. Throws SystemError. */
export function countFlows(maps: MapSource): { readonly outbound: FlowCount; readonly inbound: FlowCount } {
  const seenAt = placeOf('flow', 'seen_ns')[0];
  const flagsAt = placeOf('flow', 'flags')[0];
  const outbound = countLive(maps, ['flows'], (isTcp, values, at, now) => {
    const isEnding = (values.getUint32(at + flagsAt, IS_LITTLE_ENDIAN) & LIMITS.FLOW_FIN) !== 0;
    if (isTcp && !isEnding) return true;
    return now - values.getBigUint64(at + seenAt, IS_LITTLE_ENDIAN) <= (isTcp ? FIN_IDLE_NS : UDP_IDLE_NS);
  });
  const answeredAt = placeOf('inbound', 'seen_ns')[0];
  const inbound = countLive(
    maps,
    ['inbound', 'inbound_new'],
    (isTcp, values, at, now) =>
      isTcp || now - values.getBigUint64(at + answeredAt, IS_LITTLE_ENDIAN) <= UDP_IDLE_NS,
  );
  return { outbound, inbound };
}

type IsLive = (isTcp: boolean, values: DataView, at: number, nowNs: bigint) => boolean;

function countLive(maps: MapSource, names: readonly StateMapName[], isLive: IsLive): FlowCount {
  const now = process.hrtime.bigint();
  const counts = new Uint32Array(256);
  let [entries, maxEntries, isWhole] = [0, 0, true];
  for (const name of names) {
    const map = maps.map(name);
    maxEntries += map.info.maxEntries;
    const isDone = map.visit((keys, keyAt, values, valueAt) => {
      const l4Proto = keys.getUint8(keyAt + PROTO_AT);
      entries += 1;
      if (isLive(l4Proto === Protocol.tcp, values, valueAt, now))
        counts[l4Proto] = (counts[l4Proto] ?? 0) + 1;
    }, COUNT_LIMIT_MS);
    isWhole &&= isDone;
  }
  const found = [...counts].flatMap((count, l4Proto): [string, number][] =>
    count > 0 ? [[protocolWord(l4Proto), count]] : [],
  );
  const live = found.reduce((sum, [, count]) => sum + count, 0);
  return { live, byProtocol: Object.fromEntries(found), entries, maxEntries, isWhole };
}
