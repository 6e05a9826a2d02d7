import type { Reason, Unparsed, Verdict } from './reason.ts';

/** What every event has. `seq` goes up by one; `timeMs` since 1970; `lost`: events dropped since the last. */
export interface EventHead {
  readonly seq: number;
  readonly timeMs: number;
  readonly lost: number;
}

/** Who sent a packet, as the kernel knew it at the socket call; `comm` may hold any character. */
export interface Process {
  readonly pid: number;
  readonly uid: number;
  readonly comm: string;
}

/**
 * A packet as far as it could be read. Addresses are bare text. TCP and UDP have ports, ICMP has a
 * type. `unread`: not IP, or an IP header that could not be read.
 */
export type Packet =
  | {
      readonly family: 'ipv4' | 'ipv6';
      readonly proto: string;
      readonly src: string;
      readonly sport?: number;
      readonly dst: string;
      readonly dport?: number;
      readonly icmpType?: number;
    }
  | { readonly family: 'unread'; readonly etherType: number };

/** What a judged packet or lookup has. `count`: how many this event stands for, itself included. */
export interface Judged {
  readonly verdict: Verdict;
  readonly reason: Reason;
  /** The rule that decided, as its owner wrote or named it. */
  readonly rule?: string;
  readonly policy: string;
  readonly iface: string;
  readonly packet: Packet;
  readonly process?: Process;
  readonly count: number;
}

/** The verdict on a new flow, or on packets that belong to none. `names` taught its address. */
export interface FlowEvent extends EventHead, Judged {
  readonly kind: 'flow';
  readonly names: readonly string[];
}

/**
 * The verdict on a lookup, or what its answer taught. The packet goes from the client to the resolver,
 * whichever of the two sent it. `qname` and `qtype` (lower-case mnemonic) are absent where they could
 * not be read. `addresses`: learned, or with reason `dns-inward` refused.
 */
export interface DnsEvent extends EventHead, Judged {
  readonly kind: 'dns';
  readonly qname?: string;
  readonly qtype?: string;
  readonly unparsed?: Unparsed;
  readonly addresses: readonly string[];
}

/** What can happen to the enforcer itself; a closed list. */
export const LIFECYCLE_ACTIONS = [
  'enforcing',
  'adopted',
  'attached',
  'detached',
  'resolvers-changed',
  'events-lost',
  'stopping',
  'left-in-force',
] as const;

/** A word of `LIFECYCLE_ACTIONS`. */
export type LifecycleAction = (typeof LIFECYCLE_ACTIONS)[number];

/** Something that happened to the enforcer; `message` is a sentence for people. */
export interface LifecycleEvent extends EventHead {
  readonly kind: 'lifecycle';
  readonly action: LifecycleAction;
  readonly iface?: string;
  readonly message: string;
}

/** What is told, in the order of the kernel. */
export type Event = FlowEvent | DnsEvent | LifecycleEvent;
