import type { RawDnsEvent, RawEvent, RawFlowEvent, RawProcess } from '../datapath/event.ts';
import { rcodeWord } from '../dns/rcode.ts';
import { recordTypeWord } from '../dns/record-type.ts';
import { formatAddress } from '../flow/address.ts';
import type {
  DnsEvent,
  FlowEvent,
  Judged,
  LifecycleAction,
  LifecycleEvent,
  NameLease,
  Packet,
  PolicyAction,
  PolicyEvent,
  Process,
} from '../flow/event.ts';
import { protocolWord } from '../flow/protocol.ts';
import { bootTimeNs } from '../libbpf/clock.ts';

const ETHER_TYPE_IPV4 = 0x0800;
const ETHER_TYPE_IPV6 = 0x86dd;
/** A wall clock that was set by less is not told from one that is read with delay. */
const CLOCK_STEP_MS = 100;
/** A call that failed before there was a packet, or a packet in a network namespace that is not ours. */
const NO_INTERFACE = '-';
/** Lines that an event has of what changed, and characters of each. */
const MAX_LINES = 100;
const MAX_LINE_LENGTH = 500;
const WITH_PORTS = new Set([6, 17, 132, 136]);

/** What turns numbers of the kernel into the owner's words. */
export interface Words {
  ruleName(id: number): string | undefined;
  /** The policy that a rule is of; of rule 0 all that the subject has. */
  policyName(ruleId: number, policyId: number): string | undefined;
  subjectName(policyId: number): string | undefined;
  process(raw: RawProcess): Process;
  interfaceName(ifindex: number): string | undefined;
  namesOf(addr16: Uint8Array): readonly string[];
  /** Names of an address whose leases are live, with the ends of these. */
  leasesOf(policyId: number, addr16: Uint8Array): readonly NameLease[];
}

/* Put together by literals and assignments: to spread parts into one another costs many times as much, and more memory. */
type Mutable<Told> = { -readonly [Key in keyof Told]: Told[Key] };

/** Numbers events and puts them into words. */
export class EventTeller {
  readonly #words: Words;
  #seq = 0;
  #lost = 0;
  #bootAtMs = 0;

  constructor(words: Words) {
    this.#words = words;
  }

  /** How many events have been told. */
  get told(): number {
    return this.#seq;
  }

  /** Adds to what the next event says was lost before it. */
  addLost(count: number): void {
    this.#lost += count;
  }

  /** A record of the ring as an event. */
  tell(raw: RawEvent): FlowEvent | DnsEvent {
    return raw.kind === 'flow' ? this.#tellFlow(raw) : this.#tellDns(raw);
  }

  /** Something that happened to the policies, now. */
  tellPolicy(action: PolicyAction, message: string, lines: readonly string[] = []): PolicyEvent {
    return { ...this.#head(Date.now()), kind: 'policy', action, message, lines: shorten(lines) };
  }

  /** Something that happened to the enforcer, now. */
  tellLifecycle(action: LifecycleAction, message: string, iface?: string): LifecycleEvent {
    return {
      ...this.#head(Date.now()),
      kind: 'lifecycle',
      action,
      ...(iface !== undefined && { iface }),
      message,
    };
  }

  #head(timeMs: number) {
    const lost = this.#lost;
    this.#lost = 0;
    return { seq: ++this.#seq, timeMs, lost };
  }

  /* One offset for all events, so that their times keep the kernel's order; taken anew when a clock was set. */
  #wallMs(bootNs: bigint): number {
    const offset = Date.now() - Number(bootTimeNs() / 1000n) / 1000;
    if (Math.abs(offset - this.#bootAtMs) > CLOCK_STEP_MS) this.#bootAtMs = offset;
    return this.#bootAtMs + Number(bootNs / 1000n) / 1000;
  }

  #tellFlow(raw: RawFlowEvent): FlowEvent {
    const names = this.#words.namesOf(raw.remote);
    const { seq, timeMs, lost } = this.#head(this.#wallMs(raw.bootNs));
    const event: Mutable<FlowEvent> = {
      seq,
      timeMs,
      lost,
      kind: 'flow',
      verdict: raw.verdict,
      reason: raw.reason,
      policy: this.#policyOf(raw),
      subject: this.#subjectOf(raw),
      iface: this.#interfaceOf(raw),
      packet: packetOf(raw),
      count: raw.count,
      windowMs: raw.windowMs,
      names,
      leases: names.length > 0 ? this.#words.leasesOf(raw.policyId, raw.remote) : [],
    };
    this.#addOptional(event, raw);
    if (raw.traffic) event.traffic = raw.traffic;
    return event;
  }

  #tellDns(raw: RawDnsEvent): DnsEvent {
    const { seq, timeMs, lost } = this.#head(this.#wallMs(raw.bootNs));
    const event: Mutable<DnsEvent> = {
      seq,
      timeMs,
      lost,
      kind: 'dns',
      verdict: raw.verdict,
      reason: raw.reason,
      policy: this.#policyOf(raw),
      subject: this.#subjectOf(raw),
      iface: this.#interfaceOf(raw),
      packet: packetOf(raw),
      count: raw.count,
      windowMs: raw.windowMs,
      addresses: raw.addresses.map((addr) => formatAddress(addr)),
    };
    this.#addOptional(event, raw);
    if (raw.qname !== undefined) {
      event.qname = raw.qname;
      event.qtype = recordTypeWord(raw.qtype);
    }
    const rcode = rcodeOf(raw);
    if (rcode !== undefined) event.rcode = rcode;
    if (raw.unparsed !== undefined) event.unparsed = raw.unparsed;
    return event;
  }

  #addOptional(event: Mutable<Judged>, raw: RawEvent): void {
    const rule = this.#words.ruleName(raw.ruleId);
    if (rule !== undefined) event.rule = rule;
    if (raw.ruleId !== 0) event.ruleId = raw.ruleId;
    if (raw.process) event.process = this.#words.process(raw.process);
  }

  #policyOf({ ruleId, policyId }: RawEvent): string {
    return this.#words.policyName(ruleId, policyId) ?? '-';
  }

  #subjectOf({ policyId }: RawEvent): string {
    return this.#words.subjectName(policyId) ?? `#${policyId}`;
  }

  #interfaceOf({ ifindex }: RawEvent): string {
    return ifindex === 0 ? NO_INTERFACE : (this.#words.interfaceName(ifindex) ?? `#${ifindex}`);
  }
}

/* Thousands of events are kept, and each goes to every reader. */
function shorten(lines: readonly string[]): readonly string[] {
  const more = lines.length - MAX_LINES;
  const shown = lines
    .slice(0, MAX_LINES)
    .map((line) => (line.length > MAX_LINE_LENGTH ? `${line.slice(0, MAX_LINE_LENGTH)}…` : line));
  return more > 0 ? [...shown, `… and ${more} lines more`] : shown;
}

/* A refusal that we answer ourselves has one, too. */
function rcodeOf({ reason, rcode }: RawDnsEvent): string | undefined {
  const isAnswer = reason === 'learned' || reason === 'dns-inward' || reason === 'dns-failed';
  return isAnswer || rcode !== 0 ? rcodeWord(rcode) : undefined;
}

function packetOf(raw: RawEvent): Packet {
  if (raw.etherType !== ETHER_TYPE_IPV4 && raw.etherType !== ETHER_TYPE_IPV6) {
    return { family: 'unread', etherType: raw.etherType };
  }
  const family = raw.etherType === ETHER_TYPE_IPV4 ? 'ipv4' : 'ipv6';
  const proto = protocolWord(raw.l4Proto);
  const src = formatAddress(raw.local);
  const dst = formatAddress(raw.remote);
  if (WITH_PORTS.has(raw.l4Proto))
    return { family, proto, src, dst, sport: raw.localPort, dport: raw.remotePort };
  if (raw.kind === 'flow' && raw.icmpType !== undefined)
    return { family, proto, src, dst, icmpType: raw.icmpType };
  return { family, proto, src, dst };
}
