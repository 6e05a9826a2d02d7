/** How full a map of the kernel is. */
export interface MapFill {
  readonly name: string;
  readonly entries: number;
  readonly maxEntries: number;
}

/** Counts of a rule of an owner since the enforcer knows of it; `rule` and `subject` are its owner's words. */
export interface RuleHits {
  readonly rule: string;
  readonly subject: string;
  readonly allowed: number;
  readonly refused: number;
  readonly learned: number;
  readonly evicted: number;
}

/** Whether a program of ours runs where it is to. */
export interface Attachment {
  readonly kind: 'interface' | 'cgroup';
  /** Of the interface, or path of the cgroup. */
  readonly name: string;
  /** A direction of an interface; `all` that a cgroup needs. */
  readonly hook: 'ingress' | 'egress' | 'all';
  readonly isInForce: boolean;
}

/** A number of things of one subject. */
export interface SubjectCount {
  readonly subject: string;
  readonly count: number;
}

/**
 * What takes long to find out, as it was when it was counted. Counting it went on for `tookMs`, in pieces of which the
 * longest of all censuses so far took `longestPieceMs`.
 */
export interface Census {
  readonly takenMs: number;
  readonly tookMs: number;
  readonly longestPieceMs: number;
  readonly maps: readonly MapFill[];
  /** Flows that packets still match. */
  readonly outbound: readonly SubjectCount[];
  readonly inbound: readonly SubjectCount[];
  /** Addresses with a live lease, and the leases: an address may have one of each of several rules. */
  readonly addresses: readonly SubjectCount[];
  readonly leases: readonly SubjectCount[];
  readonly rules: readonly SubjectCount[];
  readonly hits: readonly RuleHits[];
  /** What hit rules for which there was no room in `hits`. */
  readonly otherHits: number;
  readonly attachments: readonly Attachment[];
}
