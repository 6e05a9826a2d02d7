/** Those that would end us by default; a signal that comes at any time must leave nothing behind. */
const HELD = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR2'] as const;

/** Signals that are held; closing gives them their default back. */
export interface HeldSignals extends Disposable {
  /** The first that came. */
  readonly first: (typeof HELD)[number] | undefined;
}

/**
 * Keeps signals from ending this process until closed. Who listens besides gets them as well: with no gap between one
 * listener and the next, in which a signal would find its default.
 */
export function holdSignals(): HeldSignals {
  let first: HeldSignals['first'];
  const listeners = HELD.map((name) => {
    const listener = () => {
      first ??= name;
    };
    process.on(name, listener);
    return [name, listener] as const;
  });
  return {
    get first() {
      return first;
    },
    [Symbol.dispose]: () => {
      for (const [name, listener] of listeners) process.off(name, listener);
    },
  };
}
