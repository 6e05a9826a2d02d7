import type { RawEvent } from '../datapath/event.ts';
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
} from '../flow/event.ts';
import { protocolWord } from '../flow/protocol.ts';
import { bootTimeNs } from '../libbpf/clock.ts';

const ETHER_TYPE_IPV4 = 0x0800;
const ETHER_TYPE_IPV6 = 0x86dd;
/** A wall clock that was set by less is not told from one that is read with delay. */
const CLOCK_STEP_MS = 100;
/** A call that failed before there was a packet, or a packet in a network namespace that is not ours. */
const NO_INTERFACE = '-';
const WITH_PORTS = new Set([6, 17, 132, 136]);

/** What turns numbers of the kernel into the owner's words. */
export interface Words {
  ruleName(id: number): string | undefined;
  /** The policy that a rule is of; of rule 0 all that the subject has. */
  policyName(ruleId: number, policyId: number): string | undefined;
  subjectName(policyId: number): string | undefined;
  interfaceName(ifindex: number): string | undefined;
  namesOf(addr16: Uint8Array): readonly string[];
  /** Names of an address whose leases are live, with the ends of these. */
  leasesOf(policyId: number, addr16: Uint8Array): readonly NameLease[];
}

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
    const head = this.#head(this.#wallMs(raw.bootNs));
    if (raw.kind === 'flow') {
      const names = this.#words.namesOf(raw.remote);
      const leases = names.length > 0 ? this.#words.leasesOf(raw.policyId, raw.remote) : [];
      return { ...head, kind: 'flow', ...this.#judged(raw), names, leases };
    }
    return {
      ...head,
      kind: 'dns',
      ...this.#judged(raw),
      ...(raw.qname !== undefined && { qname: raw.qname, qtype: recordTypeWord(raw.qtype) }),
      ...(raw.unparsed !== undefined && { unparsed: raw.unparsed }),
      addresses: raw.addresses.map((addr) => formatAddress(addr)),
    };
  }

  /** Something that happened to the policies, now. */
  tellPolicy(action: PolicyAction, message: string, lines: readonly string[] = []): PolicyEvent {
    return { ...this.#head(Date.now()), kind: 'policy', action, message, lines };
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

  #judged(raw: RawEvent): Judged {
    const rule = this.#words.ruleName(raw.ruleId);
    return {
      verdict: raw.verdict,
      reason: raw.reason,
      ...(rule !== undefined && { rule }),
      ...(raw.ruleId !== 0 && { ruleId: raw.ruleId }),
      policy: this.#words.policyName(raw.ruleId, raw.policyId) ?? '-',
      subject: this.#words.subjectName(raw.policyId) ?? `#${raw.policyId}`,
      iface: raw.ifindex === 0 ? NO_INTERFACE : (this.#words.interfaceName(raw.ifindex) ?? `#${raw.ifindex}`),
      packet: packetOf(raw),
      ...(raw.process && { process: raw.process }),
      count: raw.count,
      windowMs: 0,
    };
  }
}

function packetOf(raw: RawEvent): Packet {
  if (raw.etherType !== ETHER_TYPE_IPV4 && raw.etherType !== ETHER_TYPE_IPV6) {
    return { family: 'unread', etherType: raw.etherType };
  }
  const hasPorts = WITH_PORTS.has(raw.l4Proto);
  return {
    family: raw.etherType === ETHER_TYPE_IPV4 ? 'ipv4' : 'ipv6',
    proto: protocolWord(raw.l4Proto),
    src: formatAddress(raw.local),
    dst: formatAddress(raw.remote),
    ...(hasPorts && { sport: raw.localPort, dport: raw.remotePort }),
    ...(raw.kind === 'flow' && raw.icmpType !== undefined && { icmpType: raw.icmpType }),
  };
}
