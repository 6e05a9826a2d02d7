/** Those that would end us by default; a signal that comes at any time must leave nothing behind. */
const HELD = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR2'] as const;

/** Signals that are held. */
export interface HeldSignals {
  /** The first that came. */
  readonly first: (typeof HELD)[number] | undefined;
}

/**
 * Keeps signals from ending this process, for good. Who listens besides gets them as well: with no gap between one
 * listener and the next, in which a signal would find its default.
 */
export function holdSignals(): HeldSignals {
  let first: HeldSignals['first'];
  for (const name of HELD) {
    process.on(name, () => {
      first ??= name;
    });
  }
  return {
    get first() {
      return first;
    },
  };
}
