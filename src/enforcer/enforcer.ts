import type { ControlServer } from '../control/server.ts';
import type { SubjectRule } from '../datapath/compile.ts';
import { setOwnAddresses } from '../datapath/host-facts.ts';
import { isLoopback, type Resolver } from '../dns/resolver.ts';
import { SystemError } from '../errors.ts';
import type { LifecycleAction, PolicyAction } from '../flow/event.ts';
import type { EventFeed } from '../flow/feed.ts';
import { readInterfaceName } from '../libbpf/ifindex.ts';
import { giveBackFree } from '../libbpf/large-memory.ts';
import { listAddresses, watchAddresses } from '../netlink/addresses.ts';
import { type LinkEvent, watchLinks } from '../netlink/links.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import type { Scope } from '../scope.ts';
import type { SeenTargets } from '../suggest/seen-targets.ts';
import { Asker } from './asker.ts';
import type { NameBook } from './book.ts';
import { flushCaches } from './caches.ts';
import { Callers } from './callers.ts';
import { takeRequests } from './control.ts';
import { Coverage, type CoverageStart } from './coverage.ts';
import { EventIntake } from './event-intake.ts';
import type { Words } from './events.ts';
import { resolveExactNames } from './exact-names.ts';
import { Fallback } from './fallback.ts';
import { recordInterfaces } from './interfaces.ts';
import { KnownNames } from './known-names.ts';
import type { EnforceOptions } from './options.ts';
import { PinKeeper } from './pin-keeper.ts';
import { findPitfalls } from './pitfalls.ts';
import { Policies } from './policies.ts';
import { describeInForce, type PoliciesInForce } from './policies-in-force.ts';
import { ResolverWatch } from './resolver-watch.ts';
import { findResolvers, formatResolver, namesResolver } from './resolvers.ts';
import type { Shaper } from './shaper.ts';
import { takeDown } from './takedown.ts';
import type { Trust } from './trust.ts';

/** By then V8 has collected the garbage of the start. */
const TRIM_MS = 10_000;

/** What is in force when the enforcer begins to run. */
export interface InForce extends CoverageStart {
  readonly options: EnforceOptions;
  readonly policies: PoliciesInForce;
  readonly shaper: Shaper;
  readonly trust: Trust;
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
  readonly startedMs = Date.now();
  readonly #scope: Scope;
  readonly #names: KnownNames;
  readonly #coverage: Coverage;
  readonly #policies: Policies;
  readonly #asker: Asker;
  readonly #intake: EventIntake;
  readonly #pins: PinKeeper;
  #control: ControlServer | undefined;
  #resolverWatch: ResolverWatch | undefined;

  /** Takes ownership of `scope`, which holds the lock and the descriptors. */
  constructor(inForce: InForce, scope: Scope) {
    this.inForce = inForce;
    this.#scope = scope;
    const { context, listener, trust } = inForce;
    const { state } = context;
    this.#pins = scope.use(new PinKeeper(context.pins, listener.remark));
    this.#names = scope.use(
      new KnownNames({
        state,
        path: context.run.namesPath,
        policyIds: () => this.#policies.current.subjects.map(({ policyId }) => policyId),
        remark: (text) => listener.remark(text),
      }),
    );
    this.#coverage = scope.use(
      new Coverage(inForce, {
        changed: () => {
          this.#policies.shape();
          this.#record();
        },
        told: (action, name, message) => this.tell(action, message, name),
      }),
    );
    this.#policies = scope.use(
      new Policies({ ...inForce, controlled: () => this.#coverage.attached }, inForce.policies),
    );
    this.#asker = scope.use(new Asker());
    const fallback = new Fallback({
      state,
      asker: this.#asker,
      rules: () => this.#policies.current.rules,
      resolvers: (policyId) => trust.of(policyId),
      learned: (name, addresses, ruleIds) => {
        for (const address of addresses) this.#names.enter(name, address, ruleIds);
      },
    });
    const words = this.#words();
    this.#intake = scope.use(
      new EventIntake({ state, names: this.#names, asker: this.#asker, fallback, words }),
    );
  }

  /** What happens, from `begin` on. */
  get feed(): EventFeed {
    return this.#intake.feed;
  }

  /** Where everybody sent something since the start, for `suggest`. */
  get seen(): SeenTargets {
    return this.#intake.seen;
  }

  /** Begins to read events and to follow the host. Who wants all events has subscribed to `feed` before. */
  begin(): void {
    const { adopts, options } = this.inForce;
    this.#names.begin(adopts);
    this.#control = this.#scope.use(takeRequests(options.instance, this));
    this.#intake.countFromHere();
    if (adopts) this.tell('adopted', 'what an earlier process left in force was adopted');
    this.tellPolicy('in-force', describeInForce(this.#policies.current));
    this.#intake.begin();
    if (options.resolvers.length === 0) this.#resolverWatch = this.#scope.use(this.#followResolvers());
    this.#scope.use(watchLinks((event) => this.#onLink(event)));
    this.#scope.use(watchAddresses(() => this.#refreshAddresses()));
    this.#coverage.match(); // one may have come or gone since the start
  }

  /** What can wait until it is said that we enforce: programs' caches, listed names, what an earlier run left. */
  async settle(): Promise<void> {
    const { adopts, listener } = this.inForce;
    if (!adopts) await this.#flushCaches();
    this.#resolveExactNames();
    await this.#policies.settle(adopts);
    const trimming = setTimeout(giveBackFree, TRIM_MS);
    this.#scope.defer(() => clearTimeout(trimming));
    for (const text of findPitfalls({ ...this.inForce, ...this.#policies.current }))
      listener.remark(text, 'warning');
  }

  /** Which names lead where. */
  get book(): NameBook {
    return this.#names.book;
  }

  /** The policies that are in force. */
  get policies(): readonly SubjectPolicy[] {
    return this.#policies.current.subjects;
  }

  /** The rules that are in force. */
  get rules(): readonly SubjectRule[] {
    return this.#policies.current.rules;
  }

  /** A rule that is or was in force. */
  ruleOf(id: number): SubjectRule | undefined {
    return this.#policies.ruleOf(id);
  }

  /** Whom a policy that is or was in force is for. */
  subjectName(policyId: number): string | undefined {
    return this.#policies.subjectName(policyId);
  }

  /** Follows the cgroups of subjects: one that is made again under its path is judged as the one before. */
  followCgroups(): void {
    this.#policies.followCgroups();
  }

  /** Controls the containers of subjects that run now, and from then on those that come. */
  followContainers(): Promise<void> {
    return this.#policies.followContainers();
  }

  /** Puts other policies in force. Throws UsageError, SystemError; then what was in force is so still. */
  async swap(policies: readonly SubjectPolicy[]): Promise<void> {
    const known = new Set(this.#policies.current.rules.map(({ id }) => id));
    await this.#policies.swap(policies);
    this.#resolveExactNames(this.#policies.current.rules.filter(({ id }) => !known.has(id)));
  }

  /** Looks at the host anew: interfaces, own addresses, resolvers, and where exact names lead to. */
  reload(): void {
    this.#coverage.match();
    this.#refreshAddresses();
    if (this.#resolverWatch && namesResolver()) this.#trustHost(findResolvers([]).resolvers, true);
    this.#resolveExactNames();
  }

  /** Handles what the ring holds now. */
  drain(): void {
    this.#intake.drain();
  }

  /** As `drain`, then tells what series of refusals hold back, and what flows carried. For the end of all of them. */
  drainAll(): void {
    const audited = new Set(
      this.#policies.current.subjects.filter(({ policy }) => policy.audit).map(({ policyId }) => policyId),
    );
    this.#intake.drainAll((policyId) => audited.has(policyId));
  }

  /** Tells something that happened to the enforcer. */
  tell(action: LifecycleAction, message: string, iface?: string): void {
    this.#intake.tell(action, message, iface);
  }

  /** Tells something that happened to the policies. */
  tellPolicy(action: PolicyAction, message: string, lines: readonly string[] = []): void {
    this.#intake.tellPolicy(action, message, lines);
  }

  /**
   * Opens: takes the verdict out first, then everything of this instance. Throws SystemError when something of it can't be
   * taken out; the process's part has ended all the same, so that `clean` can try again.
   */
  stop(): void {
    using _scope = this.#scope;
    this.#intake.tellEnd('stopping', 'nothing is enforced any more');
    this.#names.close();
    this.#coverage.close();
    this.#policies.close(); // it would attach to containers that start now
    takeDown(this.inForce.options.instance, this.#pins.where());
    this.#policies.release();
    this.#control?.close(); // its socket lies in what goes now, and the next start makes one of that name
    this.inForce.context.run.remove(); // under the lock: the next start may be waiting for it
  }

  /** Ends the process's part only: programs and maps stay in force. */
  leave(): void {
    this.#intake.tellEnd('left-in-force', 'the process ends, programs and rules stay in force');
    this.#names.saveNow();
    this.#scope.close();
  }

  #words(): Words {
    const callers = new Callers(this.inForce.context.state, (cgroup) => this.#policies.containerAt(cgroup));
    return {
      ruleName: (id) => this.#policies.ruleName(id),
      policyName: (ruleId, policyId) => this.#policies.policyName(ruleId, policyId),
      subjectName: (policyId) => this.#policies.subjectName(policyId),
      process: (raw) => callers.describe(raw),
      // Packets of subjects leave by interfaces that are not ours.
      interfaceName: (ifindex) => this.#coverage.nameOf(ifindex) ?? tryReadName(ifindex),
      namesOf: (addr16) => this.#names.namesOf(addr16),
      leasesOf: (policyId, addr16) => this.#names.leasesOf(policyId, addr16),
    };
  }

  #onLink(event: LinkEvent): void {
    this.#coverage.onLink(event);
    this.#refreshAddresses();
  }

  #trustHost(resolvers: readonly Resolver[], isAsked: boolean): void {
    const { trust, listener } = this.inForce;
    const before = trust.host.map(formatResolver).join(', ');
    const now = resolvers.map(formatResolver).join(', ');
    trust.follow(resolvers, isAsked);
    this.#policies.applyTrust();
    if (now === before) return;
    const message = `trusted resolvers changed from ${before || 'none'} to ${now}`;
    listener.told(message, 'notice');
    this.tell('resolvers-changed', message);
    if (resolvers.some(isLoopback)) this.#learnOnLoopback();
    this.#record();
  }

  #record(): void {
    const { plan, attached } = this.#coverage;
    this.#policies.record({ interfaces: recordInterfaces(plan, attached) });
  }

  /* Fails closed: an address that finds no room is not known as own, and that is said. */
  #refreshAddresses(): void {
    try {
      setOwnAddresses(this.inForce.context.state, listAddresses());
    } catch (thrown) {
      if (!(thrown instanceof SystemError)) throw thrown;
      this.inForce.listener.remark(`not all own addresses are known: ${thrown.message}`, 'warning');
    }
  }

  #followResolvers(): ResolverWatch {
    return new ResolverWatch((resolvers) => this.#trustHost(resolvers, false));
  }

  /* A stub on this host took over: its answers come in on lo. */
  #learnOnLoopback(): void {
    if (this.inForce.mayLearnOnLoopback) this.#coverage.learnOnLoopback();
    else if (!this.#coverage.plan.some(({ name, learns }) => name === 'lo' && learns)) {
      this.inForce.listener.remark('the new resolver is on loopback: restart to learn from it', 'warning');
    }
  }

  #resolveExactNames(rules: readonly SubjectRule[] = this.#policies.current.rules): void {
    const [resolver] = this.inForce.trust.host;
    if (resolver) void resolveExactNames(this.#asker, resolver, rules);
  }

  async #flushCaches(): Promise<void> {
    const local = this.inForce.trust.host.filter(isLoopback).map(({ port }) => port);
    const told = await flushCaches(local);
    if (told.length > 0) this.inForce.listener.remark(`told to forget cached answers: ${told.join(', ')}`);
  }
}

/* Without a descriptor to ask with an event goes without that name. */
function tryReadName(ifindex: number): string | undefined {
  try {
    return readInterfaceName(ifindex);
  } catch (thrown) {
    if (!(thrown instanceof SystemError)) throw thrown;
    return undefined;
  }
}
