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
import { subjectText } from '../policy/subject.ts';
import { endFlows } from './end-flows.ts';
import type { HookContext } from './hooks.ts';
import { type PoliciesInForce, recordPolicies } from './policies-in-force.ts';
import type { Shaper } from './shaper.ts';
import { abandonSubjects, attachComing, finishSubjects, prepareSubjects } from './subject-swap.ts';
import { knownSubjects, type NumberedSubject, numberSubjects, type PlacedSubject } from './subjects.ts';

/** What a swap needs of the rest of the enforcer, each time as it is then: things change while policies are compiled. */
export interface Surroundings {
  readonly shaper: Shaper;
  /** Interfaces on which rates are kept. */
  readonly ifindexes: readonly number[];
  dnsPorts(): readonly number[];
  /** The cgroups of these subjects. Throws UsageError. */
  place(numbered: readonly NumberedSubject[]): PlacedSubject[];
  /** The resolvers that these policies trust. */
  trusted(policyIds: readonly number[]): Trusted;
}

/**
 * Puts other policies in force in one step; what was in force stays until then, and stays when it throws: UsageError
 * past a bound, or for what only a start can do, SystemError. Rules that stay keep ids, leases and flows. What the
 * policies before left is for `tidyUp`.
 */
export async function swapPolicies(
  context: HookContext,
  current: () => PoliciesInForce,
  policies: readonly SubjectPolicy[],
  surroundings: Surroundings,
): Promise<PoliciesInForce> {
  const { state, run } = context;
  const { shaper, ifindexes } = surroundings;
  const before = current();
  refuseOtherScope(before.subjects, policies);
  const known = knownSubjects(
    before.subjects.map(({ subject, policyId }) => ({ subject: subjectText(subject), policyId })),
    before.placed,
    policies,
  );
  const { numbered, nextPolicyId } = numberSubjects(policies, known, before.nextPolicyId);
  const planned = surroundings.place(numbered);
  const ids: RuleIds = {
    known: new Map(before.rules.map(({ id, policyId, canonical }) => [ruleKey(policyId, canonical), id])),
    next: nextRuleId(state),
    shares: before.shares,
  };
  await nextTurn(); // each of these steps takes long where there are a hundred thousand rules
  const { compiled, rules } = compilePolicies(numbered, ids, []);
  await nextTurn();
  await fillSlot(state, idleSlot(state), compiled);
  await addRuleStates(state, compiled.rules);
  const change = () => ({
    before: current().placed,
    after: surroundings.place(numbered),
    priorityOf: (policyId: number) => shaper.priorityOf(policyId),
  });
  try {
    shaper.apply(numbered, ifindexes);
    await prepareSubjects(context, change);
    // From here on nothing else gets a turn: what is written down is what is in force.
    attachComing(context, change());
    const placed = change().after;
    const after = { subjects: numbered, nextPolicyId, placed, rules, shares: sharesOf(compiled.rules) };
    const record = run.currentRecord(activeEpoch(state));
    if (!record) throw new RangeError('the record of what is in force is gone');
    const { classes } = shaper;
    run.prepareRecord({ ...record, epoch: nextEpoch(state), ...recordPolicies(after), classes });
    setTrusted(state, surroundings.trusted(policyIds(before.subjects, numbered)));
    switchSlot(state, { ...compiled, dnsPorts: surroundings.dnsPorts() });
    return after;
  } catch (thrown) {
    abandonSubjects(context, current().placed, planned);
    shaper.apply(before.subjects, ifindexes);
    throw thrown;
  }
}

/**
 * What can wait until other policies are in force: takes away what only those before needed, and ends the flows that
 * their rules had allowed. Throws SystemError.
 */
export async function tidyUp(
  context: HookContext,
  before: PoliciesInForce,
  current: () => PoliciesInForce,
  { shaper, trusted }: Surroundings,
): Promise<void> {
  const { state, run } = context;
  const { subjects, placed, rules, shares } = current();
  run.commitRecord(); // what was prepared goes by the epoch in the kernel: a reader finds it either way
  finishSubjects(context, placed, (policyId) => shaper.priorityOf(policyId));
  setTrusted(state, trusted(policyIds(subjects)));
  const inForce = new Set(rules.map(({ id }) => id));
  await endFlows(
    state,
    new Set(before.rules.map(({ id }) => id).filter((id) => !inForce.has(id))),
    current(),
  );
  await freeIdleSlot(state);
  settleRecords(state, shares);
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
