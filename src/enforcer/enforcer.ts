import type { SubjectRule } from '../datapath/compile.ts';
import { decodeEvent, type RawEvent } from '../datapath/event.ts';
import { setOwnAddresses, setResolvers } from '../datapath/host-facts.ts';
import { listLearned } from '../datapath/learned.ts';
import { settleRecords } from '../datapath/lease-shares.ts';
import { activeEpoch, applyDnsPorts, dropRuleStates, freeIdleSlot } from '../datapath/policy-slot.ts';
import { readCounter } from '../datapath/state.ts';
import { SUBJECT_PROGRAMS } from '../datapath/subject-hooks.ts';
import { prune } from '../datapath/teacher.ts';
import { RecordType } from '../dns/record-type.ts';
import { isLoopback, type Resolver } from '../dns/resolver.ts';
import { SystemError } from '../errors.ts';
import type { Event } from '../flow/event.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import { openRing, type RingReader } from '../libbpf/ring-reader.ts';
import { netnsCookie } from '../libbpf/setns.ts';
import { listAddresses, watchAddresses } from '../netlink/addresses.ts';
import { type LinkEvent, watchLinks } from '../netlink/links.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { letsPass } from '../policy/rule.ts';
import { subjectText } from '../policy/subject.ts';
import type { Scope } from '../scope.ts';
import { Asker } from './asker.ts';
import { NameBook } from './book.ts';
import { flushCaches } from './caches.ts';
import { Coverage, type CoverageStart } from './coverage.ts';
import { EventTeller } from './events.ts';
import { Fallback } from './fallback.ts';
import { recordInterfaces } from './interfaces.ts';
import type { EnforceOptions } from './options.ts';
import { findPitfalls } from './pitfalls.ts';
import type { PoliciesInForce } from './policies-in-force.ts';
import { ResolverWatch } from './resolver-watch.ts';
import { dnsPorts, formatResolver } from './resolvers.ts';
import { type Shaper, shapedInterfaces } from './shaper.ts';
import { type SwapHost, swapPolicies, tidyUp } from './swap.ts';
import { takeDown } from './takedown.ts';

const PRUNE_MS = 30_000;
const LOSSES_MS = 5_000;
/** Exact names resolved at start, at a time. */
const RESOLVING = 16;

/** What is in force when the enforcer begins to run. */
export interface InForce extends CoverageStart {
  readonly options: EnforceOptions;
  readonly policies: PoliciesInForce;
  readonly shaper: Shaper;
  /** Of the programs, for those that are loaded later. */
  readonly objectPath: string;
  readonly resolvers: readonly Resolver[];
  /** The programs for `lo` are loaded. */
  readonly mayLearnOnLoopback: boolean;
  /** Pins of an earlier run were adopted. */
  readonly adopts: boolean;
}

/**
 * The running enforcer: reads events, keeps the books, follows links, addresses and resolvers. If it
 * stops, enforcement and learning go on in the kernel.
 */
export class Enforcer {
  readonly inForce: InForce;
  readonly #scope: Scope;
  readonly #book = new NameBook();
  readonly #coverage: Coverage;
  readonly #ruleNames = new Map<number, string>();
  readonly #subjectNames = new Map<number, string>();
  readonly #teller: EventTeller;
  readonly #asker: Asker;
  readonly #fallback: Fallback;
  #policies: PoliciesInForce;
  #resolvers: readonly Resolver[];
  #swapping: Promise<unknown> = Promise.resolve();
  #ring: RingReader | undefined;
  #resolverWatch: ResolverWatch | undefined;
  #onEvent: (event: Event) => boolean = () => true;
  #lostBefore = 0;

  /** Takes ownership of `scope`, which holds the lock and the descriptors. */
  constructor(inForce: InForce, scope: Scope) {
    this.inForce = inForce;
    this.#scope = scope;
    this.#resolvers = inForce.resolvers;
    this.#policies = inForce.policies;
    this.#coverage = new Coverage(inForce, () => {
      this.#shape();
      this.#recordInForce();
    });
    this.#nameRules();
    this.#teller = new EventTeller({
      ruleName: (id) => this.#ruleNames.get(id),
      subjectName: (policyId) => this.#subjectNames.get(policyId),
      interfaceName: (ifindex) => this.#coverage.nameOf(ifindex),
      namesOf: (addr16) => this.#book.namesOf(addr16),
    });
    this.#asker = scope.use(new Asker());
    this.#fallback = new Fallback({
      state: inForce.context.state,
      asker: this.#asker,
      rules: () => this.#policies.rules,
      resolvers: () => this.#resolvers,
      learned: (name, addresses) => {
        for (const address of addresses) this.#book.enter(name, address);
      },
    });
  }

  /** Begins to read events and to follow the host. `onEvent` answers whether it took the event; else it is lost. */
  begin(onEvent: (event: Event) => boolean): void {
    const { state } = this.inForce.context;
    this.#onEvent = onEvent;
    this.#lostBefore = readCounter(state, 'ring_full');
    this.#ring = this.#scope.use(openRing(state.map('events'), (bytes) => this.#take(decodeEvent(bytes))));
    this.#every(PRUNE_MS, () => this.#prune());
    this.#every(LOSSES_MS, () => this.#countLosses());
    if (this.inForce.options.resolvers.length === 0)
      this.#resolverWatch = this.#scope.use(this.#followResolvers());
    this.#scope.use(watchLinks((event) => this.#onLink(event)));
    this.#scope.use(watchAddresses(() => this.#refreshAddresses()));
    this.#coverage.match(); // one may have come or gone since the start
  }

  /** What can wait until it is said that we enforce: programs' caches, listed names, what an earlier run left. */
  async settle(): Promise<void> {
    const { state } = this.inForce.context;
    if (!this.inForce.adopts) this.#flushCaches();
    void this.#resolveExactNames();
    await this.#inTurn(async () => {
      await freeIdleSlot(state);
      if (this.inForce.adopts) settleRecords(state, this.#policies.shares);
      dropRuleStates(state, new Set(this.#policies.rules.map(({ id }) => id)));
    });
    for (const text of findPitfalls({ ...this.inForce, ...this.#policies }))
      this.inForce.listener.remark(text);
  }

  /** The policies that are in force. */
  get policies(): readonly SubjectPolicy[] {
    return this.#policies.subjects;
  }

  /**
   * Puts other policies in force in one step, one call after the other. Throws UsageError, SystemError; then what was
   * in force is so still.
   */
  swap(policies: readonly SubjectPolicy[]): Promise<void> {
    return this.#inTurn(() => this.#swap(policies));
  }

  async #swap(policies: readonly SubjectPolicy[]): Promise<void> {
    const { context, shaper, listener, objectPath } = this.inForce;
    const before = this.#policies;
    const host: SwapHost = {
      shaper,
      shapedIfindexes: this.#shapedOn(policies),
      netnsCookie: netnsCookie(),
      resolvers: () => this.#resolvers,
    };
    if (policies.some(({ subject }) => subject.kind !== 'host'))
      await context.state.load(objectPath, SUBJECT_PROGRAMS);
    this.#policies = await swapPolicies(context, host, before, policies);
    this.#nameRules();
    try {
      await tidyUp(context, host, before, this.#policies);
    } catch (thrown) {
      if (!(thrown instanceof SystemError)) throw thrown;
      listener.remark(`some of what only the policy before needed is left: ${thrown.message}`);
    }
    const known = new Set(before.rules.map(({ id }) => id));
    void this.#resolveExactNames(this.#policies.rules.filter(({ id }) => !known.has(id)));
  }

  /* What changes the slots of policies goes one after the other. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const acting = this.#swapping.then(act);
    this.#swapping = acting.catch(() => {}); // the next one does not depend on it
    return acting;
  }

  #shapedOn(policies: readonly SubjectPolicy[]): number[] {
    return shapedInterfaces({ ...this.inForce.options, policies }, this.#coverage.attached);
  }

  /* Fails open, and says so: rates are a service, and traffic goes on without them. */
  #shape(): void {
    const { shaper, listener } = this.inForce;
    try {
      shaper.apply(this.#policies.subjects, this.#shapedOn(this.#policies.subjects));
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      listener.remark(`rates are not kept everywhere: ${thrown.message}`);
    }
  }

  /* Names of rules that are gone stay known: events of theirs may still be in the ring. */
  #nameRules(): void {
    for (const { id, rule } of this.#policies.rules) this.#ruleNames.set(id, rule.source);
    for (const { policyId, subject } of this.#policies.subjects)
      this.#subjectNames.set(policyId, subjectText(subject));
  }

  /** Looks at the host anew: interfaces, own addresses, resolvers, and where exact names lead to. */
  reload(): void {
    this.#coverage.match();
    this.#refreshAddresses();
    this.#resolverWatch?.look();
    void this.#resolveExactNames();
  }

  /** Handles what the ring holds now. */
  drain(): void {
    this.#ring?.drain();
  }

  /** Opens: takes the verdict out first, then everything of this instance. */
  stop(): void {
    takeDown(this.inForce.options.instance);
    this.inForce.context.run.remove(); // under the lock: the next start may be waiting for it
    this.#scope.close();
  }

  /** Ends the process's part only: programs and maps stay in force. */
  leave(): void {
    this.#scope.close();
  }

  #take(raw: RawEvent): void {
    if (raw.kind === 'dns') {
      if ((raw.reason === 'learned' || raw.reason === 'observed') && raw.qname !== undefined) {
        for (const address of raw.addresses) this.#book.enter(raw.qname, address);
      }
      if (raw.reason === 'dns-unparsed') void this.#fallback.take(raw);
      // Observed names explain later events; our own questions would only echo what is told already.
      if (raw.reason === 'observed' || this.#asker.isOwn(raw)) return;
    }
    const event = this.#teller.tell(raw);
    if (!this.#onEvent(event)) this.#teller.addLost(event.lost + 1);
  }

  #onLink(event: LinkEvent): void {
    this.#coverage.onLink(event);
    this.#refreshAddresses();
  }

  #recordInForce(): void {
    const { run, state } = this.inForce.context;
    const record = run.currentRecord(activeEpoch(state));
    if (!record) return;
    run.prepareRecord({
      ...record,
      interfaces: recordInterfaces(this.#coverage.plan, this.#coverage.attached),
      resolvers: this.#resolvers.map(formatResolver),
      classes: this.inForce.shaper.classes,
    });
    run.commitRecord();
  }

  /* Fails closed: an address that finds no room is not known as own, and that is said. */
  #refreshAddresses(): void {
    try {
      setOwnAddresses(this.inForce.context.state, listAddresses());
    } catch (thrown) {
      if (!(thrown instanceof SystemError)) throw thrown;
      this.inForce.listener.remark(`not all own addresses are known: ${thrown.message}`);
    }
  }

  #followResolvers(): ResolverWatch {
    const { state } = this.inForce.context;
    return new ResolverWatch((resolvers) => {
      const before = this.#resolvers.map(formatResolver).join(', ');
      const now = resolvers.map(formatResolver).join(', ');
      if (now === before) return;
      setResolvers(
        state,
        resolvers,
        this.#policies.subjects.map(({ policyId }) => policyId),
      );
      applyDnsPorts(state, dnsPorts(resolvers));
      this.#resolvers = resolvers;
      this.inForce.listener.remark(`trusted resolvers changed from ${before || 'none'} to ${now}`);
      if (resolvers.some(isLoopback)) this.#learnOnLoopback();
      this.#recordInForce();
    });
  }

  /* A stub on this host took over: its answers come in on lo. */
  #learnOnLoopback(): void {
    if (this.inForce.mayLearnOnLoopback) this.#coverage.learnOnLoopback();
    else if (!this.#coverage.plan.some(({ name, learns }) => name === 'lo' && learns)) {
      this.inForce.listener.remark('the new resolver is on loopback: restart to learn from it');
    }
  }

  #prune(): void {
    const { state } = this.inForce.context;
    const now = Number(bootTimeNs() / 1_000_000_000n);
    const ended = listLearned(state).filter(({ leases }) => leases.every(({ endsAt }) => endsAt <= now));
    for (const [policyId, addresses] of groupByPolicy(ended)) prune(state, policyId, addresses);
    for (const { address } of ended) this.#book.forget(address);
  }

  #countLosses(): void {
    const lost = readCounter(this.inForce.context.state, 'ring_full');
    if (lost > this.#lostBefore) this.#teller.addLost(lost - this.#lostBefore);
    this.#lostBefore = lost;
  }

  /* A program that cached the address before we started would never ask: ask for it. */
  async #resolveExactNames(rules: readonly SubjectRule[] = this.#policies.rules): Promise<void> {
    const [resolver] = this.#resolvers;
    if (!resolver) return;
    const names = rules.flatMap(({ rule }) =>
      letsPass(rule) && rule.who.kind === 'exact' ? [rule.who.name] : [],
    );
    for (let at = 0; at < names.length; at += RESOLVING) {
      await Promise.all(
        names
          .slice(at, at + RESOLVING)
          .flatMap((name) =>
            [RecordType.a, RecordType.aaaa].map((qtype) => this.#asker.ask(resolver, name, qtype)),
          ),
      );
    }
  }

  #flushCaches(): void {
    const local = this.#resolvers.filter(isLoopback).map(({ port }) => port);
    const told = flushCaches(local);
    if (told.length > 0) this.inForce.listener.remark(`told to forget cached answers: ${told.join(', ')}`);
  }

  #every(ms: number, act: () => void): void {
    const timer = setInterval(act, ms);
    this.#scope.defer(() => clearInterval(timer));
  }
}

function groupByPolicy(
  entries: readonly { readonly policyId: number; readonly address: Uint8Array }[],
): Map<number, Uint8Array[]> {
  const groups = new Map<number, Uint8Array[]>();
  for (const { policyId, address } of entries) {
    const group = groups.get(policyId) ?? [];
    group.push(address);
    groups.set(policyId, group);
  }
  return groups;
}
