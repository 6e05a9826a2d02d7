import { type Learned, listLearned } from '../datapath/learned.ts';
import type { MapSource } from '../datapath/state.ts';
import { placeOf } from '../datapath/struct.ts';
import { formatAddress } from '../flow/address.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import type { Taught } from './book.ts';
import type { NamesOf } from './explained.ts';
import type { InstanceRecord } from './run-dir.ts';

/** Counts of one rule since it was first in force. */
export interface RuleStatus {
  readonly rule: string;
  /** What it says: rules of one name in a policy file differ by it. */
  readonly canonical: string;
  readonly subject: string;
  /** The policy of a file that it is of, or `flags`. */
  readonly policy: string;
  readonly id: number;
  readonly allowed: number;
  readonly refused: number;
  readonly learned: number;
  readonly evicted: number;
}

/** What holds an address for a rule, and the names that taught it so, the latest first, as far as they are known. */
export interface LeaseStatus {
  readonly rule: string;
  readonly ruleId: number;
  readonly names: readonly string[];
  readonly endsInSeconds: number;
}

/** An address with a live lease, of one subject; `endsInSeconds` of the longest. */
export interface LearnedStatus {
  readonly address: string;
  readonly subject: string;
  readonly rules: readonly string[];
  readonly names: readonly string[];
  readonly endsInSeconds: number;
  readonly leases: readonly LeaseStatus[];
}

const COUNTS = ['allowed', 'refused', 'learned', 'evicted'] as const;
const READ_LIMIT_MS = 5_000;
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The rules in force with their counts. Throws SystemError. */
export function readRules(state: MapSource, record: InstanceRecord): RuleStatus[] {
  const map = state.map('rule_states');
  // There may be a hundred thousand of them: no object for each.
  const counts = new Float64Array(map.info.maxEntries * COUNTS.length);
  const places = new Map<number, number>();
  const offsets = COUNTS.map((name) => placeOf('rule_state', name)[0]);
  map.visit((keys, keyAt, values, at) => {
    const place = places.size * COUNTS.length;
    places.set(keys.getUint32(keyAt, IS_LITTLE_ENDIAN), place);
    for (let i = 0; i < COUNTS.length; i++) counts[place + i] = readCount(values, at + (offsets[i] ?? 0));
  }, READ_LIMIT_MS);
  const subjects = subjectNames(record);
  return record.rules.map(({ id, canonical, source, policyId, policy = 'flags' }) => {
    const place = places.get(id) ?? Number.NaN;
    return {
      rule: source,
      canonical,
      subject: subjects.get(policyId) ?? `#${policyId}`,
      policy,
      id,
      allowed: counts[place] ?? 0,
      refused: counts[place + 1] ?? 0,
      learned: counts[place + 2] ?? 0,
      evicted: counts[place + 3] ?? 0,
    };
  });
}

/* 64 bits, by halves: a BigInt takes longer. */
function readCount(values: DataView, at: number): number {
  const [low, high] = IS_LITTLE_ENDIAN ? [at, at + 4] : [at + 4, at];
  return values.getUint32(high, IS_LITTLE_ENDIAN) * 2 ** 32 + values.getUint32(low, IS_LITTLE_ENDIAN);
}

/** The addresses with live leases of rules in force. Throws SystemError. */
export function readLearned(
  state: MapSource,
  record: InstanceRecord | undefined,
  namesOf: NamesOf,
): { learned: LearnedStatus[]; entries: number } {
  const rules = new Map(record?.rules.map(({ id, source }) => [id, source]));
  const subjects = record ? subjectNames(record) : new Map<number, string>();
  const now = Number(bootTimeNs() / 1_000_000_000n);
  const all = listLearned(state);
  const learned = all.flatMap(({ policyId, address, leases }) => {
    const live = leases.filter(({ endsAt, ruleId }) => endsAt > now && rules.has(ruleId));
    if (live.length === 0) return [];
    const taught = namesOf(address);
    return {
      address: formatAddress(address),
      subject: subjects.get(policyId) ?? `#${policyId}`,
      rules: live.map(({ ruleId }) => rules.get(ruleId) ?? `#${ruleId}`),
      names: [...new Set(taught.map(({ name }) => name))],
      endsInSeconds: Math.max(...live.map(({ endsAt }) => endsAt)) - now,
      leases: live.map((lease) => describeLease(lease, rules, taught, now)),
    };
  });
  return { learned, entries: all.length };
}

function describeLease(
  { ruleId, endsAt }: Learned['leases'][number],
  rules: ReadonlyMap<number, string>,
  taught: readonly Taught[],
  now: number,
): LeaseStatus {
  const names = taught.filter((each) => each.ruleId === ruleId).map(({ name }) => name);
  return { rule: rules.get(ruleId) ?? `#${ruleId}`, ruleId, names, endsInSeconds: endsAt - now };
}

function subjectNames({ policies }: InstanceRecord): Map<number, string> {
  return new Map(policies.map(({ policyId, subject }) => [policyId, subject]));
}
