import type { Resolver } from '../dns/resolver.ts';
import type { Level } from '../flow/level.ts';
import type { SubjectPolicy } from '../policy/policy.ts';

/** What the owner asked for. */
export interface EnforceOptions {
  readonly instance: string;
  /** Interfaces on which DNS answers come in; empty = the default route's. */
  readonly learning: readonly string[];
  /** Interfaces whose egress is controlled, `*` = every way out; empty = the default route's. */
  readonly enforced: readonly string[];
  /** No two for one subject. Interfaces are controlled where one of them is the host's. */
  readonly policies: readonly SubjectPolicy[];
  /** Empty = those that the host uses. */
  readonly resolvers: readonly Resolver[];
  /** Interfaces that are not there yet are waited for. */
  readonly wait: boolean;
  /** Start also when that cuts the session that starts it. */
  readonly force: boolean;
  /** The network namespace that was entered, as -netns takes it. */
  readonly netns?: string;
  /** Directory of the cgroup that was made for one command; `clean` ends what is in it. */
  readonly ownCgroup?: string;
}

/** What the enforcer has to say while it runs; the command line writes it. */
export interface Listener {
  /** A sentence for the owner, or lines that belong together; without a level it is info. */
  remark(text: string | readonly string[], level?: Level): void;
  /** The same of something that an event tells as well. */
  told(text: string, level?: Level): void;
}
