import { bootTimeNs } from '../libbpf/clock.ts';
import type { CompiledPolicy, CompiledRule, Share, Shares } from './compiled-policy.ts';
import { LIMITS } from './layout.ts';
import { listLearned } from './learned.ts';
import type { DatapathState, MapSource } from './state.ts';
import { readBytes, readField, readWide } from './struct.ts';
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
    if (!before) continue;
    for (const { position, record } of readRecords(maps, id, before, ringLength)) {
      records.bytes.set(record, records.at(ringBase - start + (position % ringLength), 'addr'));
    }
  }
  const places = Uint32Array.from({ length: HALF }, (_, index) => start + index);
  await maps.map('lease_ring').updateBatch(new Uint8Array(places.buffer), records.bytes, HALF);
}

/**
 * After a switch, when nothing uses the slot before any more: gives leases that were learned while records moved a
 * record, and takes away those that a smaller share has no room for, the soonest to end first. Throws SystemError.
 */
export function settleRecords(state: DatapathState, shares: Shares): void {
  for (const [ruleId, leases] of liveLeases(state)) {
    const share = shares.get(ruleId);
    if (!share) continue;
    const recorded = new Set<string>();
    for (const { record } of readRecords(state, ruleId, share, share.ringLength)) {
      recorded.add(hex(readBytes(record, 'lease_record', 'addr')));
    }
    const unrecorded = leases
      .filter(({ address }) => !recorded.has(hex(address)))
      .sort((a, b) => b.endsAt - a.endsAt);
    const room = Math.max(0, share.ringLength - (leases.length - unrecorded.length));
    unrecorded.forEach(({ policyId, address }, index) => {
      if (index < room) recordLeases(state, policyId, ruleId, [address]);
      else dropLeases(state, policyId, ruleId, [address]);
    });
  }
}

interface LiveLease {
  readonly policyId: number;
  readonly address: Uint8Array;
  readonly endsAt: number;
}

function liveLeases(maps: MapSource): Map<number, LiveLease[]> {
  const now = Number(bootTimeNs() / 1_000_000_000n);
  const byRule = new Map<number, LiveLease[]>();
  for (const { policyId, address, leases } of listLearned(maps)) {
    for (const { ruleId, endsAt } of leases) {
      if (endsAt <= now) continue;
      const ofRule = byRule.get(ruleId) ?? [];
      ofRule.push({ policyId, address, endsAt });
      byRule.set(ruleId, ofRule);
    }
  }
  return byRule;
}

function isMoved({ id, ringBase, ringLength }: Share & { readonly id: number }, shares: Shares): boolean {
  const before = shares.get(id);
  return before !== undefined && (before.ringBase !== ringBase || before.ringLength !== ringLength);
}

/* The records of a rule with their positions, the newest first, at most `limit` places back. */
function* readRecords(
  maps: MapSource,
  ruleId: number,
  { ringBase, ringLength }: Share,
  limit: number,
): Generator<{ position: number; record: Buffer }> {
  const state = maps.map('rule_states').get(u32(ruleId));
  const next = state ? Number(readWide(state, 'rule_state', 'next_record')) : 0;
  const count = Math.min(next, ringLength, limit);
  for (let back = 1; back <= count; back++) {
    const position = next - back;
    const record = maps.map('lease_ring').get(u32(ringBase + (position % ringLength)));
    if (record && readField(record, 'lease_record', 'rule') === ruleId) yield { position, record };
  }
}

function hex(address: Uint8Array): string {
  return Buffer.from(address).toString('hex');
}

function u32(value: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
