import type { SubjectRule } from '../datapath/compile.ts';
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
import { type CgroupSubject, isCgroupSubject, isContainerSubject, subjectText } from '../policy/subject.ts';
import { type CgroupPlace, expectedPath, findPlace, isSamePlace, placeOfSubject } from './cgroup-place.ts';
import { CgroupWatch } from './cgroup-watch.ts';
import { ContainerSubjects } from './container-subjects.ts';
import type { HookContext } from './hooks.ts';
import { netnsInode } from './netns.ts';
import type { EnforceOptions, Listener } from './options.ts';
import { type PoliciesInForce, recordPolicies } from './policies-in-force.ts';
import { RecordKeeper } from './record-keeper.ts';
import { formatResolver } from './resolvers.ts';
import type { InstanceRecord } from './run-dir.ts';
import { type Shaper, shapedInterfaces } from './shaper.ts';
import { nestingOf, type PlacedSubject, placeSubjects, remarkUntold } from './subjects.ts';
import { type SwapHost, swapPolicies, tidyUp } from './swap.ts';
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

interface MovedCgroup {
  readonly subject: CgroupSubject;
  readonly policyId: number;
  readonly before: PlacedSubject | undefined;
  readonly now: CgroupPlace | undefined;
}

/** The policies in force: whom they are for, as cgroups and containers come and go, and what takes their place. */
export class Policies implements Disposable {
  readonly #context: PolicyContext;
  readonly #rules = new Map<number, SubjectRule>();
  readonly #subjectNames = new Map<number, { readonly subject: string; readonly policies: string }>();
  readonly #record: RecordKeeper;
  #current: PoliciesInForce;
  #containers: ContainerSubjects | undefined;
  #cgroups: CgroupWatch | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(context: PolicyContext, inForce: PoliciesInForce) {
    this.#context = context;
    this.#current = inForce;
    this.#record = new RecordKeeper((changed) => this.#writeRecord(changed), context.listener.remark);
    this.#learnNames();
  }

  get current(): PoliciesInForce {
    return this.#current;
  }

  /** What its owner calls a rule that is or was in force. */
  ruleName(id: number): string | undefined {
    return this.#rules.get(id)?.rule.source;
  }

  /** A rule that is or was in force. */
  ruleOf(id: number): SubjectRule | undefined {
    return this.#rules.get(id);
  }

  /** The policy that a rule is or was of; of rule 0 all that its subject has. */
  policyName(ruleId: number, policyId: number): string | undefined {
    const rule = this.#rules.get(ruleId)?.rule;
    return rule ? (rule.policy ?? 'flags') : this.#subjectNames.get(policyId)?.policies;
  }

  /** Whom a policy that is or was in force is for. */
  subjectName(policyId: number): string | undefined {
    return this.#subjectNames.get(policyId)?.subject;
  }

  /** The name of the container that is followed in a cgroup or in one above it, by its path in the cgroup2 tree. */
  containerAt(cgroup: string): string | undefined {
    return this.#containers?.nameAt(cgroup);
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
      const { context, listener, objectPath } = this.#context;
      const before = this.#current;
      const host = this.#swapHost(policies);
      if (policies.some(({ subject }) => subject.kind !== 'host'))
        await context.state.load(objectPath, SUBJECT_PROGRAMS);
      this.#current = await swapPolicies(context, host, before, policies);
      this.#learnNames();
      this.#matchContainers(); // some may have come and gone meanwhile
      try {
        await tidyUp(context, host, before, this.#current);
      } catch (thrown) {
        if (!(thrown instanceof SystemError)) throw thrown;
        listener.remark(`some of what only the policy before needed is left: ${thrown.message}`, 'warning');
      }
      await this.followContainers();
      this.#containers?.rematch();
      this.followCgroups();
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
          listener.remark(
            `resolver ${formatResolver(resolver)} is not trusted: too many DNS ports`,
            'warning',
          );
        this.applyTrust();
      },
      remark: (text, level) => listener.remark(text, level),
    });
    await this.#containers.ready;
    this.#matchContainers();
  }

  /** Follows the cgroups of subjects, which may go and come again, as those of services do. */
  followCgroups(): void {
    const watched = this.#current.subjects.flatMap(({ subject }) =>
      isCgroupSubject(subject) ? (expectedPath(subject) ?? []) : [],
    );
    if (watched.length === 0 && !this.#cgroups) return;
    this.#cgroups ??= new CgroupWatch(() => {
      if (this.#movedCgroups().length > 0) void this.#inTurn(async () => this.#matchCgroups());
    });
    this.#cgroups.follow(watched);
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
      const { subjects, placed } = this.#current;
      shaper.apply(subjects, this.#shapedOn(subjects), placed);
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      listener.remark(`rates are not kept everywhere: ${thrown.message}`, 'warning');
    }
  }

  /** Writes down what is in force; `changed` is what changed besides policies. What can't be written is tried again. */
  record(changed: Partial<InstanceRecord> = {}): void {
    this.#record.record(changed);
  }

  /** Follows nobody any more; what is in force stays so. Idempotent. */
  close(): void {
    this.#record.close();
    this.#containers?.close();
    this.#cgroups?.close();
    this.#cgroups = undefined;
  }

  /** After all was taken out of force: gives back what was made for it. */
  release(): void {
    this.#containers?.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(act);
    this.#turn = result.catch(() => {}); // the next one does not depend on it
    return result;
  }

  #swapHost(policies: readonly SubjectPolicy[]): SwapHost {
    const { listener, shaper, trust } = this.#context;
    return {
      shaper,
      remark: (text) => listener.remark(text, 'warning'),
      shapedIfindexes: this.#shapedOn(policies),
      place: (numbered) => [
        ...placeSubjects(numbered, netnsCookie(), (subject, policyId) => this.#findAgain(subject, policyId)),
        ...(this.#containers?.places(numbered) ?? []),
      ],
      trusted: (policyIds) => trust.by(policyIds),
      dnsPorts: () => trust.ports,
    };
  }

  /* Subjects that are known may be away just now, as services are; of processes it is the cgroup that was meant. */
  #findAgain(subject: CgroupSubject, policyId: number): CgroupPlace | undefined {
    const { subjects, placed } = this.#current;
    const isKnown = subjects.some((each) => each.policyId === policyId);
    if (subject.kind === 'pid' && isKnown) {
      const before = placed.find((each) => each.policyId === policyId);
      return before && isSamePlace(before) ? before : undefined;
    }
    return isKnown || this.#context.options.wait ? findPlace(subject) : placeOfSubject(subject);
  }

  #shapedOn(policies: readonly SubjectPolicy[]): number[] {
    const { options } = this.#context;
    return shapedInterfaces({ ...options, policies }, this.#context.controlled());
  }

  /* Names of what is gone stay known: events of it may still be in the ring. */
  #learnNames(): void {
    for (const rule of this.#current.rules) this.#rules.set(rule.id, rule);
    for (const { policyId, subject, names } of this.#current.subjects)
      this.#subjectNames.set(policyId, { subject: subjectText(subject), policies: names.join(', ') });
  }

  #place(placed: PlacedSubject): void {
    const { context, listener, shaper } = this.#context;
    const others = this.#current.placed.filter(({ id }) => id !== placed.id);
    const all = [...others, placed];
    setSubjectLevels(
      context.state,
      all.map(({ level }) => level),
    );
    const untold = attachSubject(context.state, context.pins, {
      ...placed,
      nesting: nestingOf(placed, all),
      priority: shaper.priorityOf(placed.policyId),
    });
    remarkUntold(placed, untold, (text) => listener.remark(text, 'warning'));
    this.#current = { ...this.#current, placed: all };
    if (placed.ownsNetns) this.shape();
    this.record();
  }

  #remove(id: bigint): void {
    const { context } = this.#context;
    detachSubject(context.state, context.pins, id);
    this.#current = { ...this.#current, placed: this.#current.placed.filter((each) => each.id !== id) };
    if (this.#context.shaper.classes.length > 0) this.shape();
    this.record();
  }

  #writeRecord(changed: Partial<InstanceRecord>): void {
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

  /* Subjects whose cgroup is not the one that is controlled, with both; undefined = none. */
  #movedCgroups(): MovedCgroup[] {
    return this.#current.subjects.flatMap(({ subject, policyId }) => {
      if (!isCgroupSubject(subject) || subject.kind === 'pid') return [];
      const before = this.#current.placed.find((each) => each.policyId === policyId);
      const now = findPlace(subject);
      return before?.id === now?.id ? [] : [{ subject, policyId, before, now }];
    });
  }

  /* Fails open for what can't be attached, and says so: it is tried again. */
  #matchCgroups(): void {
    const { listener } = this.#context;
    if (!this.#cgroups) return; // closed while this waited for its turn
    for (const { subject, policyId, before, now } of this.#movedCgroups()) {
      const own = { policyId, netnsCookie: netnsCookie(), netnsInode: netnsInode(), ownsNetns: false };
      try {
        if (now) this.#place({ ...now, ...own });
        if (before) this.#remove(before.id);
        listener.remark(
          now
            ? `cgroup "${now.path}" is there: judged by the policy of ${subjectText(subject)}`
            : `cgroup "${before?.path}" is gone: it will be judged again when it returns`,
          'notice',
        );
      } catch (thrown) {
        // It may be gone once more.
        if (!(thrown instanceof Error)) throw thrown;
        listener.remark(`cgroup of ${subjectText(subject)} is NOT judged: ${thrown.message}`, 'error');
      }
    }
    this.followCgroups();
  }

  /* Places those that run and are not, and removes those that ended, of an earlier run too. */
  #matchContainers(): void {
    if (!this.#containers) return;
    const { subjects } = this.#current;
    const ids = new Set(
      subjects.filter(({ subject }) => isContainerSubject(subject)).map(({ policyId }) => policyId),
    );
    const live = new Map(this.#containers.places(subjects).map((each) => [each.id, each]));
    for (const { id, policyId } of this.#current.placed)
      if (ids.has(policyId) && !live.has(id)) this.#remove(id);
    const placed = new Set(this.#current.placed.map(({ id, policyId }) => `${id} ${policyId}`));
    for (const each of live.values()) if (!placed.has(`${each.id} ${each.policyId}`)) this.#place(each);
  }
}
