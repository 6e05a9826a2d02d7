/** Replays a fuzz test: `L7EGG_SEED`, and `L7EGG_FUZZ` for the number of rounds. */
export function fuzzSettings(rounds: number): { readonly seed: number; readonly rounds: number } {
  return {
    seed: Number(process.env.L7EGG_SEED ?? 0x17e66),
    rounds: Number(process.env.L7EGG_FUZZ ?? rounds),
  };
}
