import type { Shares } from '../datapath/compiled-policy.ts';
import { decodeEvent, type RawEvent } from '../datapath/event.ts';
import { setEnforced, setOwnAddresses, setResolvers } from '../datapath/host-facts.ts';
import { listLearned } from '../datapath/learned.ts';
import { settleRecords } from '../datapath/lease-shares.ts';
import { activeEpoch, applyDnsPorts, dropRuleStates, freeIdleSlot } from '../datapath/policy-slot.ts';
import { readCounter } from '../datapath/state.ts';
import { prune } from '../datapath/teacher.ts';
import { RecordType } from '../dns/record-type.ts';
import { isLoopback, type Resolver } from '../dns/resolver.ts';
import { SystemError } from '../errors.ts';
import type { Event } from '../flow/event.ts';
import { bootTimeNs } from '../libbpf/clock.ts';
import { openRing, type RingReader } from '../libbpf/ring-reader.ts';
import { listAddresses, watchAddresses } from '../netlink/addresses.ts';
import { type LinkEvent, listLinks, watchLinks } from '../netlink/links.ts';
import type { NumberedRule } from '../policy/compile-names.ts';
import type { Scope } from '../scope.ts';
import { Asker } from './asker.ts';
import { NameBook } from './book.ts';
import { flushCaches } from './caches.ts';
import { EventTeller } from './events.ts';
import { Fallback } from './fallback.ts';
import { attachNow, dropHooks, type HookContext } from './hooks.ts';
import { findInterface, isWayOut, type Present, recordInterfaces, type Served } from './interfaces.ts';
import type { EnforceOptions, Listener } from './options.ts';
import { findPitfalls } from './pitfalls.ts';
import { ResolverWatch } from './resolver-watch.ts';
import { dnsPorts, formatResolver } from './resolvers.ts';
import { takeDown } from './takedown.ts';

const PRUNE_MS = 30_000;
const LOSSES_MS = 5_000;
/** Exact names resolved at start, at a time. */
const RESOLVING = 16;

/** What is in force when the enforcer begins to run. */
export interface InForce {
  readonly options: EnforceOptions;
  readonly listener: Listener;
  readonly context: HookContext;
  readonly rules: readonly NumberedRule[];
  readonly shares: Shares;
  readonly resolvers: readonly Resolver[];
  readonly plan: readonly Served[];
  readonly present: readonly Present[];
  /** `-eface='*'`: ways out that appear later are controlled too. */
  readonly isEveryWay: boolean;
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
  readonly #attached = new Map<string, Present>();
  readonly #interfaceNames = new Map<number, string>();
  readonly #ruleNames = new Map<number, string>();
  readonly #teller: EventTeller;
  readonly #asker: Asker;
  readonly #fallback: Fallback;
  #plan: Served[];
  #resolvers: readonly Resolver[];
  #ring: RingReader | undefined;
  #resolverWatch: ResolverWatch | undefined;
  #onEvent: (event: Event) => boolean = () => true;
  #lostBefore = 0;

  /** Takes ownership of `scope`, which holds the lock and the descriptors. */
  constructor(inForce: InForce, scope: Scope) {
    this.inForce = inForce;
    this.#scope = scope;
    this.#resolvers = inForce.resolvers;
    this.#plan = [...inForce.plan];
    for (const { id, rule } of inForce.rules) this.#ruleNames.set(id, rule.source);
    for (const each of inForce.present) this.#note(each);
    this.#teller = new EventTeller({
      ruleName: (id) => this.#ruleNames.get(id),
      interfaceName: (ifindex) => this.#interfaceNames.get(ifindex),
      namesOf: (addr16) => this.#book.namesOf(addr16),
    });
    this.#asker = scope.use(new Asker());
    this.#fallback = new Fallback({
      state: inForce.context.state,
      asker: this.#asker,
      rules: () => inForce.rules,
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
    this.#matchInterfaces(); // one may have come or gone since the start
  }

  /** What can wait until it is said that we enforce: programs' caches, listed names, what an earlier run left. */
  async settle(): Promise<void> {
    const { state } = this.inForce.context;
    if (!this.inForce.adopts) this.#flushCaches();
    void this.#resolveExactNames();
    await freeIdleSlot(state);
    settleRecords(state, this.inForce.shares);
    dropRuleStates(state, new Set(this.inForce.rules.map(({ id }) => id)));
    for (const text of findPitfalls(this.inForce)) this.inForce.listener.remark(text);
  }

  /** Looks at the host anew: interfaces, own addresses, resolvers, and where exact names lead to. */
  reload(): void {
    this.#matchInterfaces();
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

  /* Fails closed: what can't be attached is said, and tried again at the next change. */
  #attach(each: Present): void {
    const { context, listener } = this.inForce;
    try {
      setEnforced(
        context.state,
        [...this.#attached.values(), each].filter(({ enforces }) => enforces).map(({ ifindex }) => ifindex),
      );
      attachNow(context, each);
      this.#note(each);
      listener.remark(`interface "${each.name}" is there: attached`);
    } catch (thrown) {
      // It may be gone again already.
      if (!(thrown instanceof SystemError)) throw thrown;
      listener.remark(`interface "${each.name}" is NOT covered: ${thrown.message}`);
    }
  }

  #note(each: Present): void {
    this.#attached.set(each.name, each);
    this.#interfaceNames.set(each.ifindex, each.name);
  }

  #onLink(event: LinkEvent): void {
    if (event.kind === 'new' && this.inForce.isEveryWay && isWayOut(event.link)) {
      const { name } = event.link;
      if (!this.#plan.some((served) => served.name === name)) {
        this.#plan.push({ name, learns: false, enforces: true });
      }
    }
    if (event.kind === 'overrun') {
      this.inForce.listener.remark('link events were lost: interfaces are looked at again');
    }
    this.#matchInterfaces();
    this.#refreshAddresses();
  }

  /* Attaches to served interfaces that are there now and were not, or under another number. */
  #matchInterfaces(): void {
    let isChanged = false;
    for (const served of [...this.#plan]) {
      const before = this.#attached.get(served.name);
      const now = findInterface(served);
      if (before?.ifindex === now?.ifindex) continue;
      isChanged = true;
      if (before) this.#missInterface(served, before);
      if (now) this.#attach(now);
    }
    if (isChanged) this.#recordInForce();
  }

  /* One that was renamed stays under control by its new name. */
  #missInterface(served: Served, before: Present): void {
    const { listener, context } = this.inForce;
    const renamed = listLinks().find(({ ifindex }) => ifindex === before.ifindex);
    this.#attached.delete(served.name);
    // A name that it had only for a while is not waited for.
    if (!this.inForce.plan.includes(served)) this.#plan = this.#plan.filter((each) => each !== served);
    if (renamed) {
      if (!this.#plan.some(({ name }) => name === renamed.name)) {
        this.#plan.push({ ...served, name: renamed.name });
      }
      this.#note({ ...before, name: renamed.name });
      listener.remark(`interface "${served.name}" is "${renamed.name}" now: served as before`);
      return;
    }
    dropHooks(context, before.ifindex);
    listener.remark(`interface "${served.name}" is gone: it will be served again when it returns`);
  }

  #recordInForce(): void {
    const { run, state } = this.inForce.context;
    const attached = [...this.#attached.values()];
    setEnforced(
      state,
      attached.filter(({ enforces }) => enforces).map(({ ifindex }) => ifindex),
    );
    const record = run.readRecord(activeEpoch(state));
    if (!record) return;
    run.prepareRecord({
      ...record,
      interfaces: recordInterfaces(this.#plan, attached),
      resolvers: this.#resolvers.map(formatResolver),
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
      setResolvers(state, resolvers);
      applyDnsPorts(state, dnsPorts(resolvers));
      this.#resolvers = resolvers;
      this.inForce.listener.remark(`trusted resolvers changed from ${before || 'none'} to ${now}`);
      if (resolvers.some(isLoopback)) this.#learnOnLoopback();
      this.#recordInForce();
    });
  }

  /* A stub on this host took over: its answers come in on lo. */
  #learnOnLoopback(): void {
    if (this.#plan.some(({ name, learns }) => name === 'lo' && learns)) return;
    if (this.inForce.mayLearnOnLoopback) {
      this.#plan.push({ name: 'lo', learns: true, enforces: false });
      this.#matchInterfaces();
    } else this.inForce.listener.remark('the new resolver is on loopback: restart to learn from it');
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
  async #resolveExactNames(): Promise<void> {
    const [resolver] = this.#resolvers;
    if (!resolver) return;
    const names = this.inForce.rules.flatMap(({ rule }) =>
      rule.action === 'allow' && rule.who.kind === 'exact' ? [rule.who.name] : [],
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
    const told = flushCaches();
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
