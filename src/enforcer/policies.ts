import { setTrusted } from '../datapath/host-facts.ts';
import { settleRecords } from '../datapath/lease-shares.ts';
import { activeEpoch, applyDnsPorts, dropRuleStates, freeIdleSlot } from '../datapath/policy-slot.ts';
import {
  attachSubject,
  detachSubject,
  SUBJECT_PROGRAMS,
  setSubjectLevels,
} from '../datapath/subject-hooks.ts';
import { SystemError } from '../errors.ts';
import { netnsCookie } from '../libbpf/setns.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { isContainerSubject, subjectText } from '../policy/subject.ts';
import { ContainerSubjects } from './container-subjects.ts';
import type { HookContext } from './hooks.ts';
import type { EnforceOptions, Listener } from './options.ts';
import { type PoliciesInForce, recordPolicies } from './policies-in-force.ts';
import { formatResolver } from './resolvers.ts';
import type { InstanceRecord } from './run-dir.ts';
import { type Shaper, shapedInterfaces } from './shaper.ts';
import { type PlacedSubject, placeSubjects } from './subjects.ts';
import { type Surroundings, swapPolicies, tidyUp } from './swap.ts';
import type { Trust } from './trust.ts';

/** What the policies are in force in. */
export interface PolicyContext {
  readonly context: HookContext;
  readonly options: EnforceOptions;
  readonly listener: Listener;
  readonly shaper: Shaper;
  readonly trust: Trust;
  /** Of the programs, for those that are loaded later. */
  readonly objectPath: string;
  /** The interfaces that are controlled now. */
  controlled(): Parameters<typeof shapedInterfaces>[1];
}

/** The policies in force: whom they are for, as cgroups and containers come and go, and what takes their place. */
export class Policies implements Disposable {
  readonly #context: PolicyContext;
  readonly #ruleNames = new Map<number, string>();
  readonly #subjectNames = new Map<number, string>();
  #current: PoliciesInForce;
  #containers: ContainerSubjects | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(context: PolicyContext, inForce: PoliciesInForce) {
    this.#context = context;
    this.#current = inForce;
    this.#learnNames();
  }

  get current(): PoliciesInForce {
    return this.#current;
  }

  /** What its owner calls a rule that is or was in force. */
  ruleName(id: number): string | undefined {
    return this.#ruleNames.get(id);
  }

  /** Whom a policy that is or was in force is for. */
  subjectName(policyId: number): string | undefined {
    return this.#subjectNames.get(policyId);
  }

  /** After a start: frees what the policy before held. `adopts`: leases of an earlier run are there. */
  settle(adopts: boolean): Promise<void> {
    return this.#inTurn(async () => {
      const { state } = this.#context.context;
      await freeIdleSlot(state);
      if (adopts) settleRecords(state, this.#current.shares);
      dropRuleStates(state, new Set(this.#current.rules.map(({ id }) => id)));
    });
  }

  /**
   * Puts other policies in force in one step, one call after the other. Throws UsageError, SystemError; then what was
   * in force is so still.
   */
  swap(policies: readonly SubjectPolicy[]): Promise<void> {
    return this.#inTurn(async () => {
      const { context, objectPath } = this.#context;
      if (policies.some(({ subject }) => subject.kind !== 'host'))
        await context.state.load(objectPath, SUBJECT_PROGRAMS);
      const before = this.#current;
      const surroundings = this.#surroundings(policies);
      this.#current = await swapPolicies(context, () => this.#current, policies, surroundings);
      this.#learnNames();
      await this.#tidyUp(before, surroundings);
      await this.followContainers();
      this.#containers?.rematch();
    });
  }

  /** Follows the containers of subjects, and returns when those that run are controlled. Nothing without such subjects. */
  async followContainers(): Promise<void> {
    const isWanted = this.#current.subjects.some(({ subject }) => isContainerSubject(subject));
    if (this.#containers || !isWanted) return;
    const { trust, listener } = this.#context;
    this.#containers = new ContainerSubjects({
      subjects: () => this.#current.subjects,
      place: (placed) => this.#place(placed),
      remove: ({ id }) => this.#remove(id),
      trusted: (policyId) => trust.of(policyId),
      trust: (policyId, resolvers) => {
        for (const resolver of trust.add(policyId, resolvers))
          listener.remark(`resolver ${formatResolver(resolver)} is not trusted: too many DNS ports`);
        this.applyTrust();
      },
      remark: (text) => listener.remark(text),
    });
    await this.#containers.ready;
    this.#dropEnded();
  }

  /** Tells the kernel whom each policy trusts. */
  applyTrust(): void {
    const { context, trust } = this.#context;
    setTrusted(context.state, trust.by(this.#current.subjects.map(({ policyId }) => policyId)));
    applyDnsPorts(context.state, trust.ports);
  }

  /** Keeps rates on the interfaces that there are now. Fails open, and says so: traffic goes on without them. */
  shape(): void {
    const { shaper, listener } = this.#context;
    try {
      shaper.apply(this.#current.subjects, this.#shapedOn(this.#current.subjects));
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      listener.remark(`rates are not kept everywhere: ${thrown.message}`);
    }
  }

  /** Writes down what is in force; `changed` is what changed besides policies. */
  record(changed: Partial<InstanceRecord> = {}): void {
    const { context, shaper, trust } = this.#context;
    const record = context.run.currentRecord(activeEpoch(context.state));
    if (!record) return;
    context.run.prepareRecord({
      ...record,
      ...recordPolicies(this.#current),
      resolvers: trust.host.map(formatResolver),
      classes: shaper.classes,
      ...changed,
    });
    context.run.commitRecord();
  }

  /** Follows nobody any more; what is in force stays so. Idempotent. */
  close(): void {
    this.#containers?.close();
  }

  /** After all was taken out of force: gives back what was made for it. */
  release(): void {
    this.#containers?.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #surroundings(policies: readonly SubjectPolicy[]): Surroundings {
    const { shaper, trust } = this.#context;
    return {
      shaper,
      ifindexes: this.#shapedOn(policies),
      dnsPorts: () => trust.ports,
      place: (numbered) => [
        ...placeSubjects(numbered, netnsCookie()),
        ...(this.#containers?.places(numbered) ?? []),
      ],
      trusted: (policyIds) => trust.by(policyIds),
    };
  }

  /* The swap is done: what is left of before harms nobody, and goes with the next one or the next start. */
  async #tidyUp(before: PoliciesInForce, surroundings: Surroundings): Promise<void> {
    const { context, listener } = this.#context;
    try {
      await tidyUp(context, before, () => this.#current, surroundings);
    } catch (thrown) {
      if (!(thrown instanceof SystemError)) throw thrown;
      listener.remark(`some of what only the policy before needed is left: ${thrown.message}`);
    }
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(act);
    this.#turn = result.catch(() => {}); // the next one does not depend on it
    return result;
  }

  #shapedOn(policies: readonly SubjectPolicy[]): number[] {
    const { options } = this.#context;
    return shapedInterfaces({ ...options, policies }, this.#context.controlled());
  }

  /* Names of what is gone stay known: events of it may still be in the ring. */
  #learnNames(): void {
    for (const { id, rule } of this.#current.rules) this.#ruleNames.set(id, rule.source);
    for (const { policyId, subject } of this.#current.subjects)
      this.#subjectNames.set(policyId, subjectText(subject));
  }

  #place(placed: PlacedSubject): void {
    const { context, shaper } = this.#context;
    const others = this.#current.placed.filter(({ id }) => id !== placed.id);
    const all = [...others, placed];
    setSubjectLevels(
      context.state,
      all.map(({ level }) => level),
    );
    attachSubject(context.state, context.pins, { ...placed, priority: shaper.priorityOf(placed.policyId) });
    this.#current = { ...this.#current, placed: all };
    this.record();
  }

  #remove(id: bigint): void {
    const { context } = this.#context;
    detachSubject(context.state, context.pins, id);
    this.#current = { ...this.#current, placed: this.#current.placed.filter((each) => each.id !== id) };
    this.record();
  }

  /* What an earlier run was in force on, and has ended since. */
  #dropEnded(): void {
    const { subjects, placed } = this.#current;
    const ids = new Set(
      subjects.filter(({ subject }) => isContainerSubject(subject)).map(({ policyId }) => policyId),
    );
    const live = new Set(this.#containers?.places(subjects).map(({ id }) => id));
    for (const { id, policyId } of placed) if (ids.has(policyId) && !live.has(id)) this.#remove(id);
  }
}
