import type { Reason, Unparsed, Verdict } from './reason.ts';

/** What every event has. `seq` goes up by one; `timeMs` since 1970; `lost`: events dropped since the last. */
export interface EventHead {
  readonly seq: number;
  readonly timeMs: number;
  readonly lost: number;
}

/**
 * Who sent a packet, as the kernel knew it at the socket call; texts may hold any character. `exe`: path of the program.
 * `cgroup`: path below the mount of cgroup2. `container`: its name where it is followed, or the beginning of
 * the id in the cgroup's name where runtimes make cgroups. Absent: not known.
 */
export interface Process {
  readonly pid: number;
  readonly uid: number;
  readonly comm: string;
  readonly exe?: string;
  readonly cgroup?: string;
  readonly container?: string;
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

/**
 * What a judged packet or lookup has. `count`: how many this event stands for, itself included, within the last
 * `windowMs`; 0 = it came at once, as the first of its series.
 */
export interface Judged {
  readonly verdict: Verdict;
  readonly reason: Reason;
  /** The rule that decided, as its owner wrote or named it. */
  readonly rule?: string;
  /** Its number in the kernel; absent where no rule decided. */
  readonly ruleId?: number;
  /** The policy that the rule is of; without a rule all that the subject has: `flags`, names of files' policies. */
  readonly policy: string;
  /** Whom the policy is for, as policy files write it. */
  readonly subject: string;
  readonly iface: string;
  readonly packet: Packet;
  readonly process?: Process;
  readonly count: number;
  readonly windowMs: number;
}

/** A name that taught an address, and when its lease ends, since 1970. */
export interface NameLease {
  readonly name: string;
  readonly endsMs: number;
}

/** What a flow carried, of payload; `in` is known of local TCP connections only. */
export interface Traffic {
  readonly bytes: number;
  readonly packets: number;
  readonly bytesIn?: number;
  readonly packetsIn?: number;
}

/**
 * The verdict on a new flow, or on packets that belong to none; with reason `ended` the end of one, and its traffic.
 * `names` taught its address, the latest first; `leases` are those that are live.
 */
export interface FlowEvent extends EventHead, Judged {
  readonly kind: 'flow';
  readonly names: readonly string[];
  readonly leases: readonly NameLease[];
  readonly traffic?: Traffic;
}

/**
 * The verdict on a lookup, or what its answer taught. The packet goes from the client to the resolver,
 * whichever of the two sent it. `qname` and `qtype` (lower-case mnemonic) are absent where they could
 * not be read. `rcode`: lower-case mnemonic of an answer's. `addresses`: learned, or with reason `dns-inward` refused.
 */
export interface DnsEvent extends EventHead, Judged {
  readonly kind: 'dns';
  readonly qname?: string;
  readonly qtype?: string;
  readonly rcode?: string;
  readonly unparsed?: Unparsed;
  readonly addresses: readonly string[];
}

/** What can happen to the policies in force; a closed list. */
export const POLICY_ACTIONS = ['in-force', 'reloaded', 'unchanged', 'reload-failed'] as const;

/** A word of `POLICY_ACTIONS`. */
export type PolicyAction = (typeof POLICY_ACTIONS)[number];

/** Something that happened to the policies; `message` is a sentence for people, `lines` what changed or is wrong. */
export interface PolicyEvent extends EventHead {
  readonly kind: 'policy';
  readonly action: PolicyAction;
  readonly message: string;
  readonly lines: readonly string[];
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
  'remark',
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
export type Event = FlowEvent | DnsEvent | PolicyEvent | LifecycleEvent;
