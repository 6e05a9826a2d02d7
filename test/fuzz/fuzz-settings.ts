/** A fuzz test's settings, from the environment. */
export interface FuzzSettings {
  readonly seed: number;
  readonly rounds: number;
  /** Call it each round: in a long run it says now and then, on stderr, how far it is. */
  progress(round: number): void;
}

const SAY_EVERY_MS = 60_000;
const LOOK_EVERY_ROUNDS = 1024;

/** Replays a fuzz test: `L7EGG_SEED`, and `L7EGG_FUZZ` for the number of rounds. */
export function fuzzSettings(rounds: number): FuzzSettings {
  const asked = Number(process.env.L7EGG_FUZZ ?? rounds);
  const begun = performance.now();
  let said = begun;
  return {
    seed: Number(process.env.L7EGG_SEED ?? 0x17e66),
    rounds: asked,
    progress: (round) => {
      if (round % LOOK_EVERY_ROUNDS !== 0 || performance.now() - said < SAY_EVERY_MS) return;
      said = performance.now();
      const seconds = Math.round((said - begun) / 1000);
      process.stderr.write(`${round} of ${asked} rounds in ${seconds} s, ${residentMiB()} MiB\n`);
    },
  };
}

/** The memory of this process that is in use, in MiB. */
export function residentMiB(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}
