import type { PortRange } from '../policy/port.ts';
import type { Action, DnsMode } from '../policy/rule.ts';

/** What is in force for one subject, as far as the page shows it or what would allow something depends on it. */
export interface SubjectState {
  /** As policy files write it. */
  readonly subject: string;
  readonly audit: boolean;
  readonly dns: DnsMode;
  readonly policies: readonly string[];
  readonly rules: number;
  /** Any one of the rules that flags gave, which have their ports in common. */
  readonly flagRule?: {
    readonly action: Action;
    readonly source: string;
    readonly ports: readonly PortRange[];
  };
}

/** What the head of the page shows. */
export interface PageState {
  readonly instance: string;
  readonly pid: number;
  readonly startedMs: number;
  readonly subjects: readonly SubjectState[];
  /** Trusted resolvers as `-resolver` takes them. */
  readonly resolvers: readonly string[];
}

/** What an enforcer does as a whole. */
export type Mode = 'enforcing' | 'audit' | 'partly audit';

/** Whether it refuses, only reports, or refuses for some of its subjects. */
export function modeOf({ subjects }: PageState): Mode {
  const audited = subjects.filter(({ audit }) => audit).length;
  if (audited === 0) return 'enforcing';
  return audited === subjects.length ? 'audit' : 'partly audit';
}
