import type { BpfProgram, SkbFields } from '../../src/libbpf/program.ts';
import { lowerQuartile, shuffle } from './statistics.ts';

/** TC_ACT_UNSPEC and TC_ACT_SHOT. */
export const PASS = -1;
export const DROP = 2;

/** One way that a packet takes through a program. */
export interface PacketPath {
  readonly what: string;
  readonly program: BpfProgram;
  readonly frame: Buffer;
  /** Where it comes from; lo without it. */
  readonly skb?: SkbFields;
  readonly verdict: typeof PASS | typeof DROP;
  readonly repeat: number;
  /** Runs before each measured run. */
  readonly prepare: () => void | Promise<void>;
}

const ROUNDS = 21;
const WARM_UP = 3;

/**
 * The ns of each path, by its name: the lower quartile of its rounds. Each round has all paths in an order of
 * its own, so that what disturbs the machine falls on all of them. Throws Error for another verdict.
 */
export async function measureAll(paths: readonly PacketPath[]): Promise<ReadonlyMap<string, number>> {
  const samples = new Map(paths.map(({ what }): [string, number[]] => [what, []]));
  for (let round = -WARM_UP; round < ROUNDS; round += 1) {
    for (const path of shuffle(paths)) {
      const ns = await measure(path);
      if (round >= 0) samples.get(path.what)?.push(ns);
    }
  }
  return new Map([...samples].map(([what, ns]) => [what, lowerQuartile(ns)]));
}

/* By our own clock, for the kernel's mean is cut to whole nanoseconds. What one call costs is taken off. */
async function measure(path: PacketPath): Promise<number> {
  const { what, program, frame, skb, verdict, repeat, prepare } = path;
  const run = { data: frame, dataOutBytes: 0, ...(skb && { skb }) };
  await prepare();
  const before = process.hrtime.bigint();
  program.testRun(run);
  const between = process.hrtime.bigint();
  const { retval } = program.testRun({ ...run, repeat: repeat + 1 });
  const after = process.hrtime.bigint();
  if (retval !== verdict)
    throw new Error(`Cannot measure "${what}": its verdict is ${retval}, not ${verdict}`);
  return Number(after - between - (between - before)) / repeat;
}
