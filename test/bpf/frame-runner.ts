import type { DatapathState } from '../../src/datapath/state.ts';
import { checked } from '../../src/libbpf/errno.ts';
import { addressOf, bpf } from '../../src/libbpf/symbols.ts';
import type { ProgramName } from './harness.ts';

/** The kernel takes no test frame that is longer. */
export const LONGEST_FRAME = 3700;
/** TC_ACT_UNSPEC: others behind us still run. */
export const PASS = -1;

/** Runs one program on the frames that are put into `frame`, with nothing allocated: for fuzzing by the million. */
export class FrameRunner {
  readonly frame = Buffer.alloc(LONGEST_FRAME);
  readonly #fd: number;
  readonly #opts = Buffer.alloc(80); // struct bpf_test_run_opts

  constructor(state: DatapathState, program: ProgramName) {
    this.#fd = state.program(`l7egg_${program}`).fd;
    this.#opts.writeBigUInt64LE(80n, 0);
    this.#opts.writeBigUInt64LE(addressOf(this.frame), 8);
    this.#opts.writeInt32LE(1, 60);
  }

  /** What the program returns for the first `bytes` bytes of the frame, which stay as they are. */
  run(bytes: number): number {
    this.#opts.writeUInt32LE(bytes, 24);
    this.#opts.writeUInt32LE(0, 28); // where the kernel writes the length, and takes it for a bound
    checked(bpf.progTestRun(this.#fd, this.#opts), 'run a BPF program on a test frame');
    return this.#opts.readInt32LE(56);
  }
}
