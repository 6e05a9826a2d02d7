import { bootTimeNs } from '../libbpf/clock.ts';
import type { CompiledPolicy, CompiledRule, Share, Shares } from './compiled-policy.ts';
import { LAYOUT, LIMITS } from './layout.ts';
import { listLearned } from './learned.ts';
import type { DatapathState, MapSource } from './state.ts';
import { readWide } from './struct.ts';
import { StructArray } from './struct-array.ts';
import { dropLeases, recordLeases } from './teacher.ts';

const HALF = LIMITS.MAX_LEASE_RECORDS;

/**
 * Puts the shares of a policy, given by their lengths, end to end: in the half of `lease_ring` where those before
 * are if no rule's share moves by that, else in the other half.
 */
export function placeShares<Rule extends { readonly id: number; readonly ringLength: number }>(
  rules: readonly Rule[],
  before: Shares,
): (Rule & Share)[] {
  const [known] = before.values();
  const half = known ? Math.floor(known.ringBase / HALF) : 0;
  const placed = endToEnd(rules, half * HALF);
  return placed.some((rule) => isMoved(rule, before)) ? endToEnd(rules, (1 - half) * HALF) : placed;
}

function endToEnd<Rule extends { readonly ringLength: number }>(
  rules: readonly Rule[],
  start: number,
): (Rule & Share)[] {
  let next = start;
  return rules.map((rule) => {
    const ringBase = next;
    next += rule.ringLength;
    return { ...rule, ringBase };
  });
}

/** Shares as they were written down, when they can be; none when a file says something impossible. */
export function readShares(recorded: readonly { readonly id: number; readonly share?: Share }[]): Shares {
  const shares = new Map(recorded.flatMap(({ id, share }) => (share ? [[id, share]] : [])));
  const all = [...shares.values()].sort((a, b) => a.ringBase - b.ringBase);
  const half = Math.floor((all[0]?.ringBase ?? 0) / HALF);
  let free = half * HALF;
  for (const { ringBase, ringLength } of all) {
    const isPossible = Number.isInteger(ringBase) && Number.isInteger(ringLength) && ringLength > 0;
    if (!isPossible || ringBase < free || ringBase + ringLength > (half + 1) * HALF) return new Map();
    free = ringBase + ringLength;
  }
  return half === 0 || half === 1 ? shares : new Map();
}

/** The shares of rules that take leases. */
export function sharesOf(rules: readonly CompiledRule[]): Shares {
  return new Map(
    rules
      .filter(({ ringLength }) => ringLength > 0)
      .map(({ id, ringBase, ringLength }) => [id, { ringBase, ringLength }]),
  );
}

/**
 * Copies the lease records of rules whose shares move, so that an unchanged rule keeps its leases whatever rules
 * come and go beside it. The newest are kept where a share is smaller now. Nothing reads the half that they go to
 * before the policy is switched to. Throws SystemError.
 */
export async function moveRecords(
  maps: MapSource,
  { rules, sharesBefore }: Pick<CompiledPolicy, 'rules' | 'sharesBefore'>,
): Promise<void> {
  if (!rules.some((rule) => isMoved(rule, sharesBefore))) return;
  const [{ ringBase: start } = { ringBase: 0 }] = rules;
  const records = new StructArray('lease_record', HALF);
  for (const { id, ringBase, ringLength } of rules) {
    const before = sharesBefore.get(id);
    if (!before || ringLength === 0) continue;
    const { bytes, next } = readShare(maps, id, before);
    const count = Math.min(next, before.ringLength, ringLength);
    for (let position = next - count; position < next; position++) {
      const from = (position % before.ringLength) * RECORD_BYTES;
      const to = (ringBase - start + (position % ringLength)) * RECORD_BYTES;
      if (ruleOf(bytes, from) === id) bytes.copy(records.bytes, to, from, from + RECORD_BYTES);
    }
  }
  const places = Uint32Array.from({ length: HALF }, (_, index) => start + index);
  await maps.map('lease_ring').updateBatch(new Uint8Array(places.buffer), records.bytes, HALF);
}

/**
 * After a switch, when nothing uses the slot before any more: gives leases that were learned while records moved a
 * record; takes away those that a smaller share has no room for, the soonest to end first, those that have ended and
 * have no record, which nothing would ever replace, and those of rules that are gone. Throws SystemError.
 */
export function settleRecords(state: DatapathState, shares: Shares): void {
  const now = Number(bootTimeNs() / 1_000_000_000n);
  for (const { policyId, ruleId, leases } of leasesByRule(state)) {
    const share = shares.get(ruleId);
    const recorded = share ? recordedAddresses(state, ruleId, share) : new Set<string>();
    const unrecorded = leases
      .filter(({ address }) => !recorded.has(keyOf(address, 0)))
      .sort((a, b) => b.endsAt - a.endsAt);
    const room = share ? share.ringLength - (leases.length - unrecorded.length) : 0;
    const kept = unrecorded.slice(0, Math.max(0, room)).filter(({ endsAt }) => endsAt > now);
    recordLeases(
      state,
      policyId,
      ruleId,
      kept.map(({ address }) => address),
    );
    dropLeases(
      state,
      policyId,
      ruleId,
      unrecorded.slice(kept.length).map(({ address }) => address),
    );
  }
}

interface RuleLeases {
  readonly policyId: number;
  readonly ruleId: number;
  readonly leases: { readonly address: Uint8Array; readonly endsAt: number }[];
}

/* Those that have ended, too. */
function leasesByRule(maps: MapSource): RuleLeases[] {
  const byRule = new Map<string, RuleLeases>();
  for (const { policyId, address, leases } of listLearned(maps)) {
    for (const { ruleId, endsAt } of leases) {
      const key = `${policyId} ${ruleId}`;
      let ofRule = byRule.get(key);
      if (!ofRule) {
        ofRule = { policyId, ruleId, leases: [] };
        byRule.set(key, ofRule);
      }
      ofRule.leases.push({ address, endsAt });
    }
  }
  return [...byRule.values()];
}

function isMoved({ id, ringBase, ringLength }: Share & { readonly id: number }, shares: Shares): boolean {
  if (ringLength === 0) return false; // most rules of a large policy
  const before = shares.get(id);
  return before !== undefined && (before.ringBase !== ringBase || before.ringLength !== ringLength);
}

const RECORD_BYTES = LAYOUT.lease_record.size;
const RULE_AT = LAYOUT.lease_record.fields.rule[0];

/* The places of a rule that it ever used, and the position that it uses next. */
function readShare(
  maps: MapSource,
  ruleId: number,
  { ringBase, ringLength }: Share,
): { bytes: Buffer; next: number } {
  const state = maps.map('rule_states').get(u32(ruleId));
  const next = state ? Number(readWide(state, 'rule_state', 'next_record')) : 0;
  return { bytes: maps.map('lease_ring').getRange(ringBase, Math.min(next, ringLength)), next };
}

function recordedAddresses(maps: MapSource, ruleId: number, share: Share): Set<string> {
  const { bytes } = readShare(maps, ruleId, share);
  const recorded = new Set<string>();
  for (let at = 0; at < bytes.length; at += RECORD_BYTES) {
    if (ruleOf(bytes, at) === ruleId) recorded.add(keyOf(bytes, at));
  }
  return recorded;
}

/* A record begins with its address, in host order is its rule. */
function ruleOf(records: Buffer, at: number): number {
  return new DataView(records.buffer, records.byteOffset).getUint32(at + RULE_AT, IS_LITTLE_ENDIAN);
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function keyOf(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, LAYOUT.addr.size).toString('latin1');
}

function u32(value: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
