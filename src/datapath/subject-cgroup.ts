/** A cgroup whose processes are judged by a policy of their own. */
export interface SubjectCgroup {
  readonly policyId: number;
  /** Its directory below a cgroup2 mount. */
  readonly path: string;
  /** The inode of the directory. */
  readonly id: bigint;
  /** How deep it lies below the root of the tree, which is 0. */
  readonly level: number;
  /** How many other subjects' cgroups it lies in. */
  readonly nesting: number;
  /** Answers teach only in this network namespace. */
  readonly netnsCookie: bigint;
  /** The namespace is the subject's alone, so its loopback is not judged. */
  readonly ownsNetns: boolean;
  /** What its packets are marked with for the queue of the interface (skb->priority); 0 = they are left as they are. */
  readonly priority: number;
}
