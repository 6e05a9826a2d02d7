import type { DnsEvent, Event, FlowEvent, Packet } from '../flow/event.ts';
import { Protocol, protocolNumber } from '../flow/protocol.ts';
import type { Reason } from '../flow/reason.ts';
import { FoldedFlows, type NamesOf } from './folded-flows.ts';
import { PORTED } from './protocols.ts';
import type { Fate, Seen, SeenFlow, SeenLine, Way } from './seen.ts';
import { SeenLeads } from './seen-leads.ts';
import { plainName, SeenLookups } from './seen-lookups.ts';
import { addTo, newTally, type Tally, tallyOf } from './tally.ts';

/** Flows that are told apart; those past it are counted together. */
const MAX_FLOWS = 16_384;
/** Addresses of one flow that are kept. */
const MAX_ADDRESSES = 16;
/** Whether a socket of this host takes calls from anybody at an address and port of its own. */
export type IsServed = (l4Proto: number, address: string, port: number) => boolean;

/** Where the other end's port is as high, and the own one is not, somebody over there may have called. */
const PEERS_EPHEMERAL_FROM = 32_768;

/** Of the packet nothing can be said that a rule could name. */
const UNREAD: readonly Reason[] = ['ethertype', 'unreadable', 'mapped'];
/** The lookup itself was judged, not its answer. */
const REFUSING: readonly Reason[] = ['dns-strict', 'dns-type', 'dns-denied'];
const REVERSE_NAME = /\.(?:in-addr|ip6)\.arpa$/u;
/** Its answer was read. */
const ANSWERED: readonly Reason[] = ['learned', 'dns-inward', 'dns-failed'];
/** Replies to pings, and errors about what others sent. */
const ICMP_REPLIES = [0, 3, 4, 5, 11, 12];
const ICMPV6_REPLIES = [1, 2, 3, 4, 129];

type IpPacket = Exclude<Packet, { family: 'unread' }>;

interface Target {
  readonly subject: string;
  readonly fate: Fate;
  readonly way: Way;
  readonly l4Proto: number;
  readonly port: number | undefined;
  readonly name: string | undefined;
  /** Of a call to which no name is known: each address is a target of its own. */
  readonly address: string | undefined;
}

interface FlowEntry extends Tally {
  readonly target: Target;
  fromPort: number | undefined;
  readonly addresses: string[];
  hasMore: boolean;
  readonly reasons: Reason[];
}

/**
 * Collects where every subject sent something, and what it looked up, from the start of the enforcer on: by protocol
 * and port, and by name where one is known, so that a name whose addresses change is one target. Nothing is forgotten;
 * what finds no room is counted.
 */
export class SeenTargets {
  readonly #ephemeralFrom: number;
  readonly #isServed: IsServed;
  readonly #flows = new Map<string, FlowEntry>();
  readonly #lookups = new SeenLookups();
  readonly #unread = new Map<string, { readonly subject: string; readonly reason: Reason; count: number }>();
  readonly #ignored = new Map<symbol, number>();
  #others = 0;
  #lost = 0;

  /** @param ephemeralFrom the lowest local port that this host gives to sockets which ask for none */
  constructor(ephemeralFrom: number, isServed: IsServed = () => false) {
    this.#ephemeralFrom = ephemeralFrom;
    this.#isServed = isServed;
  }

  /** Takes an event of the feed. */
  take(event: Event): void {
    this.#lost += event.lost;
    if (event.kind === 'flow') this.#takeFlow(event);
    else if (event.kind === 'dns') this.#takeLookup(event);
  }

  /**
   * Takes a lookup that passed, and the addresses of its answer. A name explains a subject's flows where it was looked up.
   */
  look(subject: string, name: string, timeMs: number, addresses?: readonly string[]): void {
    this.#lookups.enter({
      subject,
      name: plainName(name),
      fate: 'passed',
      timeMs,
      count: 1,
      ...(addresses && { addresses }),
    });
  }

  /**
   * Leaves the lookups of reverse names by a process out, those that are told of, until the result is disposed of: it asks
   * on behalf of who reads the list.
   */
  ignore(pid: number): Disposable {
    const token = Symbol(`lookups of ${pid}`);
    this.#ignored.set(token, pid);
    return { [Symbol.dispose]: () => void this.#ignored.delete(token) };
  }

  /** What found no room, and events that were lost. */
  get counts(): Pick<Seen, 'others' | 'lost'> {
    return { others: this.#others, lost: this.#lost };
  }

  /** All that was seen, at once; see `lines`. */
  list(namesOf: NamesOf): Seen {
    const lines = [...this.lines(namesOf)].flatMap((line) => line ?? []);
    return {
      flows: lines.filter((line) => line.kind === 'flow'),
      lookups: lines.filter((line) => line.kind === 'lookup'),
      unread: lines.filter((line) => line.kind === 'unread'),
      missing: lines.filter((line) => line.kind === 'missing'),
      ...this.counts,
    };
  }

  /**
   * All that was seen, piece by piece; `undefined` is a moment at which others can have a turn, as any is. A name that the
   * subject looked up and that leads where it sent something, while no event told so as the first packets of its flow
   * were folded into another's, is added as a flow of its own. `namesOf`: names that lead to an address, whoever asked.
   */
  *lines(namesOf: NamesOf): Generator<SeenLine | undefined> {
    const groups = new Map<string, FlowEntry[]>();
    for (const entry of this.#flows.values()) {
      const group = groups.get(entry.target.subject);
      if (group) group.push(entry);
      else groups.set(entry.target.subject, [entry]);
    }
    for (const [subject, entries] of groups) yield* this.#flowsOf(subject, entries, namesOf);
    yield* this.#lookups.list();
    for (const subject of this.#lookups.subjects()) {
      const { lookups } = this.#lookups.lostOf(subject);
      if (lookups > 0) yield { kind: 'missing', subject, what: 'lookups', count: lookups };
    }
    for (const each of this.#unread.values()) yield { kind: 'unread', ...each };
  }

  *#flowsOf(
    subject: string,
    entries: readonly FlowEntry[],
    namesOf: NamesOf,
  ): Generator<SeenLine | undefined> {
    const leads = new SeenLeads();
    yield* leads.enter(this.#lookups.leadsOf(subject));
    const folded = new FoldedFlows(leads, namesOf);
    for (const entry of entries) {
      const flow = flowOf(entry);
      yield flow;
      folded.take(flow);
    }
    yield* folded.flows((flow, name) =>
      this.#flows.has(keyOf({ ...flow, port: flow.port, name, address: undefined })),
    );
    const missing = folded.missing + this.#lookups.lostOf(subject).leads;
    if (missing > 0) yield { kind: 'missing', subject, what: 'names', count: missing };
  }

  #takeFlow(event: FlowEvent): void {
    const { subject, packet, reason, verdict } = event;
    // Later fragments go the way of their first, and the end of a flow is no other one.
    if (reason === 'ended' || reason === 'fragment') return;
    const l4Proto = packet.family === 'unread' ? 0 : (protocolNumber(packet.proto) ?? 0);
    if (packet.family === 'unread' || l4Proto === 0 || UNREAD.includes(reason)) {
      this.#countUnread(subject, reason, event.count);
      return;
    }
    const fate: Fate = reason === 'deny-cidr' ? 'barred' : verdict === 'deny' ? 'refused' : 'passed';
    const looksServed = this.#looksServed(packet, l4Proto);
    const way = this.#wayOf(packet, l4Proto, looksServed);
    const port = portOf(packet, l4Proto, way);
    const target = { subject, fate, way, l4Proto, port, name: undefined, address: undefined };
    const names = way === 'call' ? this.#namesOf(event) : [];
    for (const name of names) this.#enterFlow({ ...target, name }, packet.dst, event);
    if (way === 'reply') this.#enterFlow(target, packet.dst, event);
    else if (names.length === 0) this.#enterFlow({ ...target, address: packet.dst }, packet.dst, event);
  }

  #takeLookup(event: DnsEvent): void {
    const { subject, verdict, reason, rule, qname, timeMs, count, process, addresses } = event;
    if (reason === 'dns-unreadable') this.#countUnread(subject, reason, count);
    if (qname === undefined || reason === 'dns-unreadable') return;
    if (verdict !== 'allow' && REVERSE_NAME.test(plainName(qname)) && this.#isIgnored(process?.pid)) return;
    // An answer that teaches nothing was not refused to whoever asked.
    const isRefused = verdict === 'deny' && REFUSING.includes(reason);
    const fate = reason === 'dns-denied' ? 'barred' : isRefused ? 'refused' : 'passed';
    this.#lookups.enter({
      subject,
      name: plainName(qname),
      fate,
      timeMs,
      count,
      ...(rule !== undefined && { rule }),
      ...(ANSWERED.includes(reason) && { addresses }),
    });
  }

  #isIgnored(pid: number | undefined): boolean {
    return [...this.#ignored.values()].some((each) => each === pid);
  }

  /* Names that taught the address to another subject explain nothing: this one would not learn it by them. */
  #namesOf({ subject, names, leases }: FlowEvent): string[] {
    if (names.length === 0) return [];
    const live = leases.map(({ name }) => plainName(name));
    return names.map(plainName).filter((name) => live.includes(name) || this.#lookups.has(subject, name));
  }

  /* The ports of a call may look like those of a reply: only a socket that is served tells them apart. */
  #wayOf(packet: IpPacket, l4Proto: number, looksServed: boolean): Way {
    const { src, sport = 0, icmpType } = packet;
    if (icmpType !== undefined) {
      const replies = l4Proto === Protocol.icmp ? ICMP_REPLIES : ICMPV6_REPLIES;
      return replies.includes(icmpType) ? 'reply' : 'call';
    }
    return looksServed && this.#isServed(l4Proto, src, sport) ? 'reply' : 'call';
  }

  #looksServed({ sport = 0, dport = 0 }: IpPacket, l4Proto: number): boolean {
    const isLow = sport > 0 && sport < Math.min(this.#ephemeralFrom, PEERS_EPHEMERAL_FROM);
    return PORTED.includes(l4Proto) && isLow && dport >= PEERS_EPHEMERAL_FROM;
  }

  #enterFlow(target: Target, address: string, { timeMs, count, rule, reason, packet }: FlowEvent): void {
    const key = keyOf(target);
    let entry = this.#flows.get(key);
    if (!entry) {
      if (this.#flows.size >= MAX_FLOWS) {
        this.#others += count;
        return;
      }
      entry = {
        target,
        fromPort: undefined,
        addresses: [],
        hasMore: false,
        reasons: [],
        ...newTally(timeMs),
      };
      this.#flows.set(key, entry);
    }
    addTo(entry, timeMs, count, rule);
    if (target.way === 'call' && packet.family !== 'unread' && this.#looksServed(packet, target.l4Proto))
      entry.fromPort = packet.sport;
    if (!entry.reasons.includes(reason)) entry.reasons.push(reason);
    if (entry.addresses.includes(address)) return;
    if (entry.addresses.length < MAX_ADDRESSES) entry.addresses.push(address);
    else entry.hasMore = true;
  }

  #countUnread(subject: string, reason: Reason, count: number): void {
    const key = `${subject}\n${reason}`;
    const entry = this.#unread.get(key) ?? { subject, reason, count: 0 };
    entry.count += count;
    this.#unread.set(key, entry);
  }
}

function portOf({ sport, dport, icmpType }: IpPacket, l4Proto: number, way: Way) {
  if (icmpType !== undefined) return icmpType;
  if (!PORTED.includes(l4Proto)) return undefined;
  return way === 'reply' ? sport : dport;
}

function keyOf({ subject, fate, way, l4Proto, port, name, address }: Target): string {
  return `${subject}\n${fate}\n${way}\n${l4Proto}\n${port}\n${name}\n${address}`;
}

function flowOf({ target, fromPort, addresses, hasMore, reasons, ...tally }: FlowEntry): SeenFlow {
  const { subject, fate, way, l4Proto, port, name } = target;
  return {
    kind: 'flow',
    subject,
    fate,
    way,
    l4Proto,
    ...(port !== undefined && { port }),
    ...(name !== undefined && { name }),
    ...(fromPort !== undefined && { fromPort }),
    addresses: [...addresses],
    hasMore,
    reasons: [...reasons],
    ...tallyOf(tally),
  };
}
