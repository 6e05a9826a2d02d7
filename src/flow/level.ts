import type { Event, LifecycleAction } from './event.ts';

/** How much a line matters, the most first; a closed list. */
export const LEVELS = ['error', 'warning', 'notice', 'info'] as const;

/**
 * A word of `LEVELS`. `error`: something that was asked for is not done. `warning`: it is, but needs attention.
 * `notice`: what changed, and what was refused. `info`: all else.
 */
export type Level = (typeof LEVELS)[number];

/** The number of a level in syslog(3), as sd-daemon(3) has it in front of a line. */
export function severityOf(level: Level): number {
  return SEVERITIES[level];
}

const SEVERITIES: Readonly<Record<Level, number>> = { error: 3, warning: 4, notice: 5, info: 6 };

/** The level of an event: what was or would have been refused is a notice, what passed or was learned is info. */
export function levelOf(event: Event): Level {
  switch (event.kind) {
    case 'flow':
    case 'dns':
      return event.verdict === 'allow' ? 'info' : 'notice';
    case 'policy':
      return event.action === 'reload-failed' ? 'warning' : 'notice';
    case 'lifecycle':
      return LIFECYCLE_LEVELS[event.action];
    default:
      return event satisfies never;
  }
}

const LIFECYCLE_LEVELS: Readonly<Record<LifecycleAction, Level>> = {
  enforcing: 'notice',
  adopted: 'notice',
  attached: 'notice',
  detached: 'warning',
  'resolvers-changed': 'notice',
  'events-lost': 'warning',
  stopping: 'notice',
  'left-in-force': 'notice',
  remark: 'info',
};
