import type { ControlServer } from '../control/server.ts';
import type { SubjectRule } from '../datapath/compile.ts';
import { HOST_POLICY } from '../datapath/compile.ts';
import { decodeEvent, type RawDnsEvent, type RawEvent } from '../datapath/event.ts';
import { setOwnAddresses } from '../datapath/host-facts.ts';
import { findLearned, type Learned, listLearned } from '../datapath/learned.ts';
import { readCounter } from '../datapath/state.ts';
import { encodeStruct } from '../datapath/struct.ts';
import { prune } from '../datapath/teacher.ts';
import { listUntold } from '../datapath/untold.ts';
import { RecordType } from '../dns/record-type.ts';
import { isLoopback, type Resolver } from '../dns/resolver.ts';
import { SystemError } from '../errors.ts';
import type { LifecycleAction, NameLease, PolicyAction } from '../flow/event.ts';
import { EventFeed } from '../flow/feed.ts';
import { Protocol } from '../flow/protocol.ts';
import type { Reason } from '../flow/reason.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import { readInterfaceName } from '../libbpf/ifindex.ts';
import { openRing, type RingReader } from '../libbpf/ring-reader.ts';
import { listAddresses, watchAddresses } from '../netlink/addresses.ts';
import { type LinkEvent, watchLinks } from '../netlink/links.ts';
import { destroyTcpSocket } from '../netlink/sock-diag.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { letsPass } from '../policy/rule.ts';
import type { Scope } from '../scope.ts';
import { SeenTargets } from '../suggest/seen-targets.ts';
import { Asker } from './asker.ts';
import { addressKey, NameBook } from './book.ts';
import { BookFile } from './book-file.ts';
import { flushCaches } from './caches.ts';
import { Callers } from './callers.ts';
import { takeRequests } from './control.ts';
import { Coverage, type CoverageStart } from './coverage.ts';
import { EventTeller } from './events.ts';
import { Fallback } from './fallback.ts';
import { IdleFlows, listEnds } from './idle-flows.ts';
import { recordInterfaces } from './interfaces.ts';
import type { EnforceOptions } from './options.ts';
import { findPitfalls } from './pitfalls.ts';
import { Policies } from './policies.ts';
import { describeInForce, type PoliciesInForce } from './policies-in-force.ts';
import { RefusedFlows } from './refused-flows.ts';
import { ResolverWatch } from './resolver-watch.ts';
import { findResolvers, formatResolver, namesResolver } from './resolvers.ts';
import type { Shaper } from './shaper.ts';
import { readEphemeralFrom } from './suggesting.ts';
import { takeDown } from './takedown.ts';
import type { Trust } from './trust.ts';

const PRUNE_MS = 30_000;
const LOSSES_MS = 5_000;
/** Of the last events, for who comes later. */
const KEPT_EVENTS = 10_000;
/** Answers that say where a name leads to, whether they taught that or not. */
const NAMING: readonly Reason[] = ['learned', 'observed', 'dns-inward'];
/** Exact names resolved at start, at a time. */
const RESOLVING = 16;

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
  /** What happens, from `begin` on. */
  readonly feed = new EventFeed(KEPT_EVENTS);
  /** Where everybody sent something since the start, for `suggest`. */
  readonly seen = new SeenTargets(readEphemeralFrom());
  readonly startedMs = Date.now();
  readonly #scope: Scope;
  readonly #book = new NameBook();
  readonly #bookFile: BookFile;
  readonly #coverage: Coverage;
  readonly #policies: Policies;
  readonly #callers: Callers;
  readonly #teller: EventTeller;
  readonly #asker: Asker;
  readonly #fallback: Fallback;
  readonly #refusedFlows = new RefusedFlows();
  #ring: RingReader | undefined;
  #control: ControlServer | undefined;
  #resolverWatch: ResolverWatch | undefined;
  #lostBefore = 0;

  /** Takes ownership of `scope`, which holds the lock and the descriptors. */
  constructor(inForce: InForce, scope: Scope) {
    this.inForce = inForce;
    this.#scope = scope;
    this.#bookFile = scope.use(
      new BookFile(inForce.context.run.namesPath, this.#book, (text) => inForce.listener.remark(text)),
    );
    this.#coverage = new Coverage(inForce, {
      changed: () => {
        this.#policies.shape();
        this.#record();
      },
      told: (action, name, message) => this.tell(action, message, name),
    });
    this.#policies = scope.use(
      new Policies({ ...inForce, controlled: () => this.#coverage.attached }, inForce.policies),
    );
    this.#callers = new Callers(inForce.context.state, (cgroup) => this.#policies.containerAt(cgroup));
    this.#teller = new EventTeller({
      ruleName: (id) => this.#policies.ruleName(id),
      policyName: (ruleId, policyId) => this.#policies.policyName(ruleId, policyId),
      subjectName: (policyId) => this.#policies.subjectName(policyId),
      // Packets of subjects leave by interfaces that are not ours.
      process: (raw) => this.#callers.describe(raw),
      interfaceName: (ifindex) => this.#coverage.nameOf(ifindex) ?? readInterfaceName(ifindex),
      namesOf: (addr16) => this.#book.namesOf(addr16),
      leasesOf: (policyId, addr16) => this.#leasesOf(policyId, addr16),
    });
    this.feed.subscribe({
      take: (event) => {
        this.seen.take(event);
        return true;
      },
    });
    this.#asker = scope.use(new Asker());
    this.#fallback = new Fallback({
      state: inForce.context.state,
      asker: this.#asker,
      rules: () => this.#policies.current.rules,
      resolvers: (policyId) => inForce.trust.of(policyId),
      learned: (name, addresses, ruleIds) => {
        for (const address of addresses) this.#enter(name, address, ruleIds);
      },
    });
  }

  /** Begins to read events and to follow the host. Who wants all events has subscribed to `feed` before. */
  begin(): void {
    const { state } = this.inForce.context;
    const { instance } = this.inForce.options;
    if (this.inForce.adopts) this.#bookFile.restore(() => liveAddresses(listLearned(state)));
    this.#control = this.#scope.use(takeRequests(instance, this));
    this.#lostBefore = readCounter(state, 'ring_full');
    if (this.inForce.adopts) this.tell('adopted', 'what an earlier process left in force was adopted');
    this.tellPolicy('in-force', describeInForce(this.#policies.current));
    this.#ring = this.#scope.use(openRing(state.map('events'), (bytes) => this.#take(decodeEvent(bytes))));
    this.#scope.use(new IdleFlows(state, (end) => this.#take(end)));
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
    const { adopts, listener } = this.inForce;
    if (!adopts) this.#flushCaches();
    void this.#resolveExactNames();
    await this.#policies.settle(adopts);
    for (const text of findPitfalls({ ...this.inForce, ...this.#policies.current }))
      listener.remark(text, 'warning');
  }

  /** Which names lead where. */
  get book(): NameBook {
    return this.#book;
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
    void this.#resolveExactNames(this.#policies.current.rules.filter(({ id }) => !known.has(id)));
  }

  /** Looks at the host anew: interfaces, own addresses, resolvers, and where exact names lead to. */
  reload(): void {
    this.#coverage.match();
    this.#refreshAddresses();
    if (this.#resolverWatch && namesResolver()) this.#trustHost(findResolvers([]).resolvers, true);
    void this.#resolveExactNames();
  }

  /** Handles what the ring holds now. */
  drain(): void {
    this.#ring?.drain();
  }

  /** As `drain`, then tells what series of refusals hold back, and what flows carried. For the end of all of them. */
  drainAll(): void {
    this.drain();
    const audited = new Set(
      this.#policies.current.subjects.filter(({ policy }) => policy.audit).map(({ policyId }) => policyId),
    );
    for (const raw of listUntold(this.inForce.context.state, (policyId) => audited.has(policyId)))
      this.#take(raw);
    for (const end of listEnds(this.inForce.context.state)) this.#take(end);
  }

  /** Tells something that happened to the enforcer. */
  tell(action: LifecycleAction, message: string, iface?: string): void {
    this.feed.publish(this.#teller.tellLifecycle(action, message, iface));
  }

  /** Tells something that happened to the policies. */
  tellPolicy(action: PolicyAction, message: string, lines: readonly string[] = []): void {
    this.feed.publish(this.#teller.tellPolicy(action, message, lines));
  }

  /** Opens: takes the verdict out first, then everything of this instance. */
  stop(): void {
    if (this.#ring) this.#countLosses();
    this.tell('stopping', 'nothing is enforced any more');
    this.#bookFile.close();
    this.#policies.close(); // it would attach to containers that start now
    takeDown(this.inForce.options.instance);
    this.#policies.release();
    this.#control?.close(); // its socket lies in what goes now, and the next start makes one of that name
    this.inForce.context.run.remove(); // under the lock: the next start may be waiting for it
    this.#scope.close();
  }

  /** Ends the process's part only: programs and maps stay in force. */
  leave(): void {
    if (this.#ring) this.#countLosses();
    this.tell('left-in-force', 'the process ends, programs and rules stay in force');
    this.#bookFile.saveNow();
    this.#scope.close();
  }

  #take(raw: RawEvent): void {
    if (raw.kind === 'dns') {
      if (NAMING.includes(raw.reason) && raw.qname !== undefined) {
        for (const address of raw.addresses) this.#enter(raw.qname, address, [raw.ruleId]);
      }
      if (raw.reason === 'dns-unparsed') void this.#fallback.take(raw);
      if (raw.verdict === 'deny') this.#endRefusedLookup(raw);
      // Observed names explain later events; our own questions would only echo what is told already.
      if (this.#asker.isOwn(raw)) return;
      if (raw.reason === 'observed') {
        this.#noteLookup(raw);
        return;
      }
    }
    this.#refusedFlows.take(raw);
    this.feed.publish(this.#teller.tell(raw));
  }

  #noteLookup({ policyId, qname }: RawDnsEvent): void {
    const subject = this.#policies.subjectName(policyId);
    if (subject !== undefined && qname !== undefined) this.seen.look(subject, qname, Date.now());
  }

  #enter(name: string, address: Uint8Array, ruleIds: readonly number[]): void {
    for (const ruleId of ruleIds) this.#book.enter(name, address, ruleId);
    this.#bookFile.touch();
  }

  /*
   * A query over TCP that a cgroup's hook drops is sent again and again, and its program waits. Interfaces answer it
   * with a reset by themselves. Only our own network namespace has trusted resolvers, so that is where the socket is.
   */
  #endRefusedLookup({ l4Proto, policyId, ...ends }: RawDnsEvent): void {
    if (l4Proto === Protocol.tcp && policyId !== HOST_POLICY) destroyTcpSocket(ends);
  }

  /* Names that taught the address for a rule which holds it now. */
  #leasesOf(policyId: number, addr: Uint8Array): NameLease[] {
    const key = encodeStruct('host_key', { addr, policy: policyId });
    const bootMs = Number(bootTimeNs() / 1_000_000n);
    const ends = new Map(
      findLearned(this.inForce.context.state, key).map(({ ruleId, endsAt }) => [ruleId, endsAt * 1_000]),
    );
    return this.#book.taughtBy(addr).flatMap(({ name, ruleId }) => {
      const endsAtMs = ends.get(ruleId) ?? 0;
      return endsAtMs > bootMs ? [{ name, endsMs: Date.now() + endsAtMs - bootMs }] : [];
    });
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

  #prune(): void {
    const { state } = this.inForce.context;
    const now = Number(bootTimeNs() / 1_000_000_000n);
    const all = listLearned(state);
    const ended = all.filter(({ leases }) => leases.every(({ endsAt }) => endsAt <= now));
    for (const [policyId, addresses] of groupByPolicy(ended)) prune(state, policyId, addresses);
    if (ended.length === 0) return;
    const live = liveAddresses(all); // of another subject
    for (const { address } of ended) if (!live.has(addressKey(address))) this.#book.forget(address);
  }

  #countLosses(): void {
    const lost = readCounter(this.inForce.context.state, 'ring_full');
    if (lost === this.#lostBefore) return;
    const more = lost - this.#lostBefore;
    this.#lostBefore = lost;
    this.#teller.addLost(more);
    this.tell('events-lost', `${more} events were lost: more happened than could be read`);
  }

  /* A program that cached the address before we started would never ask: ask for it. */
  async #resolveExactNames(rules: readonly SubjectRule[] = this.#policies.current.rules): Promise<void> {
    const [resolver] = this.inForce.trust.host;
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
    const local = this.inForce.trust.host.filter(isLoopback).map(({ port }) => port);
    const told = flushCaches(local);
    if (told.length > 0) this.inForce.listener.remark(`told to forget cached answers: ${told.join(', ')}`);
  }

  #every(ms: number, act: () => void): void {
    const timer = setInterval(act, ms);
    this.#scope.defer(() => clearInterval(timer));
  }
}

function liveAddresses(learned: readonly Learned[]): Set<string> {
  const now = Number(bootTimeNs() / 1_000_000_000n);
  return new Set(
    learned.flatMap(({ address, leases }) =>
      leases.some(({ endsAt }) => endsAt > now) ? addressKey(address) : [],
    ),
  );
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
