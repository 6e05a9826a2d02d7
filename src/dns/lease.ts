/** Shortest and longest time for which an answer counts, before the grace, in seconds. */
export const MIN_LEASE_SECONDS = 60;
export const MAX_LEASE_SECONDS = 86_400;
/** What a lease lasts beyond the TTL: an application may connect with what it had cached to the end. */
export const GRACE_SECONDS = 30;

/** Seconds that a learned address may be used, from the TTL as on the wire (u32). As bpf/lease.h has it. */
export function leaseSeconds(ttl: number): number {
  return Math.min(Math.max(ttl, MIN_LEASE_SECONDS), MAX_LEASE_SECONDS) + GRACE_SECONDS;
}
