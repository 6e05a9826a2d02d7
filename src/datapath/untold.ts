import { REASONS } from '../flow/reason.ts';
import type { RawFlowEvent } from './event.ts';
import type { MapSource } from './state.ts';
import { readBytes, readField, readWide } from './struct.ts';

const ETHER_TYPE_IPV4 = 0x0800;
const ETHER_TYPE_IPV6 = 0x86dd;
const NO_ADDRESS = new Uint8Array(16);

/**
 * Refusals that were counted and not told yet: of a series the first is told at once, the others once a second. What
 * they have in common is filled in; the sender's end is zero. Of failed lookups only the hash of the name is kept.
 * @param isAudited whether what a policy id refuses passes
 * Throws SystemError.
 */
export function listUntold(maps: MapSource, isAudited: (policyId: number) => boolean): RawFlowEvent[] {
  return [...maps.map('series').entries()].flatMap(([key, value]) => {
    const count = Number(readWide(value, 'series', 'count'));
    const reason = REASONS[readField(key, 'series_key', 'reason')];
    if (count === 0 || reason === undefined || reason === 'dns-failed') return [];
    const windowNs = process.hrtime.bigint() - readWide(value, 'series', 'told_ns');
    const policyId = readField(key, 'series_key', 'policy');
    const remote = readBytes(key, 'series_key', 'remote');
    return [
      {
        kind: 'flow',
        bootNs: 0n,
        count,
        windowMs: Math.max(0, Number(windowNs / 1_000_000n)),
        ifindex: 0,
        ruleId: 0,
        policyId,
        verdict: reason === 'audit' || isAudited(policyId) ? 'would_deny' : 'deny',
        reason,
        l4Proto: readField(key, 'series_key', 'l4_proto'),
        etherType: isMapped(remote) ? ETHER_TYPE_IPV4 : ETHER_TYPE_IPV6,
        local: NO_ADDRESS,
        localPort: 0,
        remote,
        remotePort: readField(key, 'series_key', 'remote_port_be'),
      },
    ];
  });
}

function isMapped(addr16: Uint8Array): boolean {
  return addr16[10] === 0xff && addr16[11] === 0xff && addr16.subarray(0, 10).every((byte) => byte === 0);
}
