import { HOST_POLICY } from '../datapath/compile.ts';
import { decodeEvent, type RawDnsEvent, type RawEvent } from '../datapath/event.ts';
import { type DatapathState, readCounter } from '../datapath/state.ts';
import { listUntold } from '../datapath/untold.ts';
import { formatAddress } from '../flow/address.ts';
import type { LifecycleAction, PolicyAction } from '../flow/event.ts';
import { EventFeed } from '../flow/feed.ts';
import { Protocol } from '../flow/protocol.ts';
import type { Reason } from '../flow/reason.ts';
import { openRing, type RingReader } from '../libbpf/ring-reader.ts';
import { destroyTcpSocket } from '../netlink/sock-diag.ts';
import { SeenTargets } from '../suggest/seen-targets.ts';
import type { Asker } from './asker.ts';
import { EventTeller, type Words } from './events.ts';
import type { Fallback } from './fallback.ts';
import { HeldRefusals } from './held-refusals.ts';
import { IdleFlows, listEnds } from './idle-flows.ts';
import type { KnownNames } from './known-names.ts';
import { RefusedFlows } from './refused-flows.ts';
import { servedHere } from './served-ports.ts';
import { readEphemeralFrom } from './suggesting.ts';

const LOSSES_MS = 5_000;
/** Of the last events, for who comes later. */
const KEPT_EVENTS = 10_000;
/** Answers that say where a name leads to, whether they taught that or not. */
const NAMING: readonly Reason[] = ['learned', 'observed', 'dns-inward'];

/** What happens to records of the kernel besides being told. */
export interface IntakeContext {
  readonly state: DatapathState;
  readonly names: KnownNames;
  readonly asker: Asker;
  readonly fallback: Fallback;
  readonly words: Words;
}

/**
 * Reads what the kernel tells, acts on what needs it, and hands it to all readers as events; what the kernel's ring could
 * not hold is counted and told.
 */
export class EventIntake implements Disposable {
  /** What happens, from `begin` on. */
  readonly feed = new EventFeed(KEPT_EVENTS);
  /** Where everybody sent something since the start, for `suggest`. */
  readonly seen = new SeenTargets(readEphemeralFrom(), servedHere());
  readonly #context: IntakeContext;
  readonly #teller: EventTeller;
  readonly #refusedFlows = new RefusedFlows();
  #ring: RingReader | undefined;
  #idleFlows: IdleFlows | undefined;
  readonly #held: HeldRefusals;
  #losses: NodeJS.Timeout | undefined;
  #lostBefore = 0;

  constructor(context: IntakeContext) {
    this.#context = context;
    this.#teller = new EventTeller(context.words);
    this.#held = new HeldRefusals(context.state, (raw) => this.#tellRaw(raw));
  }

  /** Begins to read, behind what was told until now. Throws SystemError. */
  begin(): void {
    const { state } = this.#context;
    this.#ring = openRing(state.map('events'), (bytes) => this.#take(decodeEvent(bytes)));
    this.#idleFlows = new IdleFlows(state, (end) => this.#take(end));
    this.#losses = setInterval(() => this.#countLosses(), LOSSES_MS);
  }

  /** From now on losses are ours: those before nobody could have read. Throws SystemError. */
  countFromHere(): void {
    this.#lostBefore = readCounter(this.#context.state, 'ring_full');
  }

  /** Handles what the ring holds now. */
  drain(): void {
    this.#ring?.drain();
  }

  /** As `drain`, then tells what series of refusals hold back, and what flows carried. For the end of all of them. */
  drainAll(isAudited: (policyId: number) => boolean): void {
    this.drain();
    for (const raw of listUntold(this.#context.state, isAudited)) this.#take(raw);
    for (const end of listEnds(this.#context.state)) this.#take(end);
  }

  /** Tells something that happened to the enforcer. */
  tell(action: LifecycleAction, message: string, iface?: string): void {
    this.feed.publish(this.#teller.tellLifecycle(action, message, iface));
  }

  /** Tells something that happened to the policies. */
  tellPolicy(action: PolicyAction, message: string, lines: readonly string[] = []): void {
    this.feed.publish(this.#teller.tellPolicy(action, message, lines));
  }

  /** Tells that the enforcer ends, behind what was lost until now. */
  tellEnd(action: 'stopping' | 'left-in-force', message: string): void {
    if (this.#ring) this.#countLosses();
    this.tell(action, message);
  }

  /** Reads no more. Idempotent. */
  close(): void {
    clearInterval(this.#losses);
    this.#idleFlows?.close();
    this.#held.close();
    this.#ring?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #take(raw: RawEvent): void {
    if (raw.kind === 'dns' && !this.#takeDns(raw)) return;
    this.#refusedFlows.take(raw);
    this.#held.take(raw);
    this.#tellRaw(raw);
  }

  #tellRaw(raw: RawEvent): void {
    const event = this.#teller.tell(raw);
    this.seen.take(event);
    this.feed.publish(event);
    if (this.feed.published === KEPT_EVENTS)
      void import('./frugal-heap.ts').then(({ growSlowly }) => growSlowly());
  }

  /* Answers whether it is told: observed names explain later events, our own questions would echo what is told already. */
  #takeDns(raw: RawDnsEvent): boolean {
    const { names, asker, fallback } = this.#context;
    if (NAMING.includes(raw.reason) && raw.qname !== undefined) {
      for (const address of raw.addresses) names.enter(raw.qname, address, [raw.ruleId]);
    }
    if (raw.reason === 'dns-unparsed') void fallback.take(raw);
    if (raw.verdict === 'deny') endRefusedLookup(raw);
    if (asker.isOwn(raw)) return false;
    if (raw.reason !== 'observed') return true;
    this.#noteLookup(raw);
    return false;
  }

  #noteLookup({ policyId, qname, addresses }: RawDnsEvent): void {
    const subject = this.#context.words.subjectName(policyId);
    if (subject === undefined || qname === undefined) return;
    this.seen.look(
      subject,
      qname,
      Date.now(),
      addresses.map((addr) => formatAddress(addr)),
    );
  }

  #countLosses(): void {
    const lost = readCounter(this.#context.state, 'ring_full');
    if (lost === this.#lostBefore) return;
    const more = lost - this.#lostBefore;
    this.#lostBefore = lost;
    this.#teller.addLost(more);
    this.tell('events-lost', `${more} events were lost: more happened than could be read`);
  }
}

/*
 * A query over TCP that a cgroup's hook drops is sent again and again, and its program waits. Interfaces answer it
 * with a reset by themselves. Only our own network namespace has trusted resolvers, so that is where the socket is.
 */
function endRefusedLookup({ l4Proto, policyId, ...ends }: RawDnsEvent): void {
  if (l4Proto === Protocol.tcp && policyId !== HOST_POLICY) destroyTcpSocket(ends);
}
