import { setImmediate as nextTurn } from 'node:timers/promises';
import { compilePolicies, type RuleIds, ruleKey } from '../datapath/compile.ts';
import { fillSlot } from '../datapath/fill-slot.ts';
import { setTrusted, type Trusted } from '../datapath/host-facts.ts';
import { settleRecords, sharesOf } from '../datapath/lease-shares.ts';
import {
  activeEpoch,
  addRuleStates,
  dropRuleStates,
  freeIdleSlot,
  idleSlot,
  nextEpoch,
  switchSlot,
} from '../datapath/policy-slot.ts';
import { nextRuleId } from '../datapath/state.ts';
import { UsageError } from '../errors.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { endFlows } from './end-flows.ts';
import type { HookContext } from './hooks.ts';
import { type PoliciesInForce, recordPolicies } from './policies-in-force.ts';
import type { Shaper } from './shaper.ts';
import { abandonSubjects, finishSubjects, prepareSubjects } from './subject-swap.ts';
import { knownSubjects, type NumberedSubject, numberSubjects, type PlacedSubject } from './subjects.ts';

/** What a swap needs of the host. */
export interface SwapHost {
  readonly shaper: Shaper;
  /** Interfaces on which rates are kept. */
  readonly shapedIfindexes: readonly number[];
  /** The cgroups of these subjects, containers that run included. Throws UsageError. */
  place(numbered: readonly NumberedSubject[]): PlacedSubject[];
  /** The resolvers of the moment of the switch, for they may change while the policies are compiled. */
  trusted(policyIds: readonly number[]): Trusted;
  remark(text: string): void;
  /** Their ports. */
  dnsPorts(): readonly number[];
}

/**
 * Puts other policies in force in one step; what was in force stays until then, and stays when it throws: UsageError
 * past a bound, or for what only a start can do, SystemError. Rules that stay keep ids, leases and flows. What the
 * policies before left is for `tidyUp`.
 */
export async function swapPolicies(
  context: HookContext,
  host: SwapHost,
  before: PoliciesInForce,
  policies: readonly SubjectPolicy[],
): Promise<PoliciesInForce> {
  const { state, run } = context;
  refuseOtherScope(before.subjects, policies);
  const known = knownSubjects(before.subjects, before.placed, policies);
  const { numbered, nextPolicyId } = numberSubjects(policies, known, before.nextPolicyId);
  const placed = host.place(numbered);
  const ids: RuleIds = {
    known: new Map(before.rules.map(({ id, policyId, canonical }) => [ruleKey(policyId, canonical), id])),
    next: nextRuleId(state),
    shares: before.shares,
  };
  await nextTurn(); // each of these steps takes long where there are a hundred thousand rules
  const { compiled, rules } = compilePolicies(numbered, ids, []);
  await nextTurn();
  const after = { subjects: numbered, nextPolicyId, placed, rules, shares: sharesOf(compiled.rules) };
  await fillSlot(state, idleSlot(state), compiled);
  await addRuleStates(state, compiled.rules);
  const priorityOf = (policyId: number) => host.shaper.priorityOf(policyId);
  const subjects = { before: before.placed, after: placed, priorityOf, remark: host.remark };
  try {
    host.shaper.apply(numbered, host.shapedIfindexes, placed);
    await prepareSubjects(context, subjects);
    // From here on nothing else gets a turn: what is written down is what is in force.
    const record = run.currentRecord(activeEpoch(state));
    if (!record) throw new RangeError('the record of what is in force is gone');
    const { classes } = host.shaper;
    run.prepareRecord({ ...record, epoch: nextEpoch(state), ...recordPolicies(after), classes });
    setTrusted(state, host.trusted(policyIds(before.subjects, numbered)));
    switchSlot(state, { ...compiled, dnsPorts: host.dnsPorts() });
  } catch (thrown) {
    abandonSubjects(context, subjects);
    host.shaper.apply(before.subjects, host.shapedIfindexes, before.placed);
    throw thrown;
  }
  return after;
}

/**
 * What can wait until other policies are in force: takes away what only those before needed, and ends the flows that
 * their rules had allowed. Throws SystemError.
 */
export async function tidyUp(
  context: HookContext,
  host: SwapHost,
  before: PoliciesInForce,
  after: PoliciesInForce,
): Promise<void> {
  const { state, run } = context;
  run.commitRecord(); // what was prepared goes by the epoch in the kernel: a reader finds it either way
  const priorityOf = (policyId: number) => host.shaper.priorityOf(policyId);
  finishSubjects(context, { before: before.placed, after: after.placed, priorityOf, remark: host.remark });
  setTrusted(state, host.trusted(policyIds(after.subjects)));
  const inForce = new Set(after.rules.map(({ id }) => id));
  await endFlows(state, new Set(before.rules.map(({ id }) => id).filter((id) => !inForce.has(id))), after);
  await freeIdleSlot(state);
  settleRecords(state, after.shares);
  dropRuleStates(state, inForce);
}

/* Their programs are attached at the start, and what they do without a policy is to refuse all. */
function refuseOtherScope(before: readonly SubjectPolicy[], after: readonly SubjectPolicy[]): void {
  const had = before.some(({ subject }) => subject.kind === 'host');
  const has = after.some(({ subject }) => subject.kind === 'host');
  if (had && !has)
    throw new UsageError('no policy is for the controlled interfaces any more: restart for that');
  if (!had && has)
    throw new UsageError('a policy is for interfaces, and none is controlled: restart for that');
}

function policyIds(...lists: readonly (readonly { readonly policyId: number }[])[]): number[] {
  return [...new Set(lists.flat().map(({ policyId }) => policyId))];
}
