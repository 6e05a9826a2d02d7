import { ENUMS, LAYOUT, LIMITS } from './layout.ts';
import type { DatapathState } from './state.ts';
import { encodeStruct } from './struct.ts';

/** An answer that user space decoded: these rules may lease these addresses. */
export interface Lesson {
  readonly policyId: number;
  readonly ruleIds: readonly number[];
  readonly addresses: readonly Uint8Array[];
  readonly ttlSeconds: number;
}

/**
 * Writes leases through the kernel's own code, which holds the lock of the entry.
 * More addresses than fit a lesson are given in several. Throws SystemError.
 */
export function teach(state: DatapathState, lesson: Lesson): void {
  inLessons(lesson.addresses, (addrs, count) => {
    run(state, {
      kind: ENUMS.lesson_kind.LESSON_LEARN,
      policy: lesson.policyId,
      ttl_seconds: lesson.ttlSeconds,
      n_rules: Math.min(lesson.ruleIds.length, LIMITS.MAX_HELD),
      rules: lesson.ruleIds.slice(0, LIMITS.MAX_HELD),
      n_addrs: count,
      addrs,
    });
  });
}

/** Has the kernel delete those of the addresses whose leases have all ended. Throws SystemError. */
export function prune(state: DatapathState, policyId: number, addresses: readonly Uint8Array[]): void {
  inLessons(addresses, (addrs, count) => {
    run(state, { kind: ENUMS.lesson_kind.LESSON_PRUNE, policy: policyId, n_addrs: count, addrs });
  });
}

/** Gives the live leases of these addresses by a rule a record in its share. Throws SystemError. */
export function recordLeases(
  state: DatapathState,
  policyId: number,
  ruleId: number,
  addresses: readonly Uint8Array[],
): void {
  giveOfRule(state, ENUMS.lesson_kind.LESSON_RECORD, policyId, ruleId, addresses);
}

/** Takes the leases of these addresses by a rule away. Throws SystemError. */
export function dropLeases(
  state: DatapathState,
  policyId: number,
  ruleId: number,
  addresses: readonly Uint8Array[],
): void {
  giveOfRule(state, ENUMS.lesson_kind.LESSON_DROP, policyId, ruleId, addresses);
}

function giveOfRule(
  state: DatapathState,
  kind: number,
  policy: number,
  ruleId: number,
  addresses: readonly Uint8Array[],
): void {
  inLessons(addresses, (addrs, count) => {
    run(state, { kind, policy, n_rules: 1, rules: [ruleId], n_addrs: count, addrs });
  });
}

function inLessons(addresses: readonly Uint8Array[], give: (addrs: Uint8Array, count: number) => void): void {
  for (let at = 0; at < addresses.length; at += LIMITS.MAX_EVENT_ADDRS) {
    const part = addresses.slice(at, at + LIMITS.MAX_EVENT_ADDRS);
    const addrs = new Uint8Array(part.length * LAYOUT.addr.size);
    part.forEach((addr, index) => {
      addrs.set(addr, index * LAYOUT.addr.size);
    });
    give(addrs, part.length);
  }
}

function run(state: DatapathState, fields: Parameters<typeof encodeStruct<'lesson'>>[1]): void {
  state.program('l7egg_teach').testRun({ data: encodeStruct('lesson', fields), dataOutBytes: 0 });
}
