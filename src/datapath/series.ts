import { REASONS } from '../flow/reason.ts';
import type { RawFlowEvent } from './event.ts';
import type { MapSource } from './state.ts';
import { encodeStruct, readWide } from './struct.ts';

/** As SERIES_NS in bpf/event.h: a refusal that comes later is told, with what was held back. */
const SERIES_NS = 1_000_000_000n;

/** What was held back of a series; `young`: the kernel may still count more into it; `over`: nothing is held back. */
export type SeriesTaken = { readonly count: number; readonly windowMs: number } | 'young' | 'over';

/**
 * Takes what the kernel counted of the series that a refusal was told of, and ends it: the next refusal of that kind is
 * told at once. `nowNs`: monotonic clock. Throws SystemError.
 */
export function takeSeries(maps: MapSource, told: RawFlowEvent, nowNs: bigint): SeriesTaken {
  const series = maps.map('series');
  const key = encodeStruct('series_key', {
    remote: told.remote,
    remote_port_be: told.remotePort,
    policy: told.policyId,
    l4_proto: told.l4Proto,
    reason: REASONS.indexOf(told.reason),
    pid: told.process?.pid ?? 0,
  });
  const value = series.get(key);
  if (!value) return 'over';
  if (nowNs - readWide(value, 'series', 'told_ns') < SERIES_NS) return 'young';
  if (readWide(value, 'series', 'count') === 0n) return 'over';
  const taken = series.take(key); // in one step: a refusal that comes now is in it, or begins anew
  const count = Number(taken ? readWide(taken, 'series', 'count') : 0n);
  if (!taken || count === 0) return 'over';
  const windowNs = nowNs - readWide(taken, 'series', 'told_ns');
  return { count, windowMs: Math.max(0, Number(windowNs / 1_000_000n)) };
}
