import { constants } from 'node:os';
import { checked, checkedPrivileged } from './errno.ts';
import { Fd } from './fd.ts';
import { memoryOf } from './memory.ts';
import { openPin, pinFd } from './pin.ts';
import { addressOf, bpf } from './symbols.ts';

/** What the kernel tells of a program. `tag` is the hash of its instructions in hex. */
export interface ProgramInfo {
  readonly programType: number;
  readonly id: number;
  readonly tag: string;
  readonly name: string;
  /** Of machine code; 0 where the kernel interprets. */
  readonly jitedBytes: number;
  /** Of instructions after the verifier. */
  readonly xlatedBytes: number;
}

/**
 * The fields of struct __sk_buff that a test run may set (net/bpf/test_run.c, convert___skb_to_skb).
 * The protocol comes from the Ethernet header. `ifindex` must exist in the caller's network namespace.
 */
export interface SkbFields {
  readonly mark?: number;
  readonly priority?: number;
  readonly ingressIfindex?: number;
  readonly ifindex?: number;
  /** Bytes of the segments that the device will cut it into. */
  readonly gsoSize?: number;
}

/** One run on bytes. `data` begins with an Ethernet header; `dataOutBytes` is how much may come back. */
export interface TestRun {
  readonly data: Uint8Array;
  readonly skb?: SkbFields;
  readonly repeat?: number;
  readonly dataOutBytes?: number;
}

/** `retval` is signed, so TC_ACT_UNSPEC is -1; `durationNs` is the mean of the repetitions. */
export interface TestRunResult {
  readonly retval: number;
  readonly dataOut: Buffer;
  readonly skbOut: Buffer | undefined;
  readonly durationNs: number;
}

const SKB_BYTES = 192;

/** Owns a loaded BPF program. */
export class BpfProgram implements Disposable {
  readonly #fd: Fd;

  /** Takes ownership of `fd`. */
  constructor(fd: Fd) {
    this.#fd = fd;
  }

  /** The program pinned at `path`, or `undefined`. Throws SystemError. */
  static openPinned(path: string): BpfProgram | undefined {
    const fd = openPin(path, 'prog');
    return fd && new BpfProgram(fd);
  }

  /** The program with this id. Throws SystemError (ENOENT), UnsupportedError. */
  static byId(id: number): BpfProgram {
    return new BpfProgram(new Fd(checkedPrivileged(bpf.progById(id), `open BPF program ${id}`)));
  }

  /** As `byId`, `undefined` when there is none any more. */
  static find(id: number): BpfProgram | undefined {
    const answer = bpf.progById(id);
    if (answer === -constants.errno.ENOENT) return undefined;
    return new BpfProgram(new Fd(checkedPrivileged(answer, `open BPF program ${id}`)));
  }

  get fd(): number {
    return this.#fd.number;
  }

  /** Throws SystemError. */
  pin(path: string): void {
    pinFd(this.fd, path);
  }

  /** Throws SystemError. */
  info(): ProgramInfo {
    // struct bpf_prog_info up to `name`; a longer kernel struct is cut by the length we give.
    const info = Buffer.alloc(80);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(info.length);
    checked(bpf.infoByFd(this.fd, info, length), 'read program info');
    return {
      programType: info.readUInt32LE(0),
      id: info.readUInt32LE(4),
      tag: info.toString('hex', 8, 16),
      name: info.toString('latin1', 64, 80).replace(/\0.*$/s, ''),
      jitedBytes: info.readUInt32LE(16),
      xlatedBytes: info.readUInt32LE(20),
    };
  }

  /** Bytes of kernel memory that it takes, as the kernel tells; `undefined` when it does not. */
  memoryBytes(): number | undefined {
    return memoryOf(this.fd);
  }

  /** BPF_PROG_TEST_RUN. Throws SystemError: EINVAL for less than an Ethernet header, ENODEV for an unknown ifindex. */
  testRun(run: TestRun): TestRunResult {
    // In and out share a buffer: what is reached after the call is not collected before it.
    const inBytes = run.data.length;
    const outBytes = run.dataOutBytes ?? inBytes + 512;
    const data = Buffer.alloc(inBytes + outBytes);
    data.set(run.data);
    const skbs = run.skb && encodeSkb(run.skb);
    const opts = Buffer.alloc(80); // struct bpf_test_run_opts
    opts.writeBigUInt64LE(80n, 0);
    opts.writeBigUInt64LE(addressOf(data), 8);
    // A bound of 0 is none to the kernel, which would write all of the packet.
    if (outBytes > 0) opts.writeBigUInt64LE(addressOf(data.subarray(inBytes)), 16);
    opts.writeUInt32LE(inBytes, 24);
    opts.writeUInt32LE(outBytes, 28);
    if (skbs) {
      opts.writeBigUInt64LE(addressOf(skbs), 32);
      opts.writeBigUInt64LE(addressOf(skbs.subarray(SKB_BYTES)), 40);
      opts.writeUInt32LE(SKB_BYTES, 48);
      opts.writeUInt32LE(SKB_BYTES, 52);
    }
    opts.writeInt32LE(run.repeat ?? 1, 60);
    checkedPrivileged(bpf.progTestRun(this.fd, opts), 'run a BPF program on test data');
    return {
      retval: opts.readInt32LE(56),
      dataOut: data.subarray(inBytes, inBytes + opts.readUInt32LE(28)),
      skbOut: skbs?.subarray(SKB_BYTES),
      durationNs: opts.readUInt32LE(64),
    };
  }

  /** Idempotent. The program lives on while a pin or a link holds it. */
  close(): void {
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/* With as much room behind it for what comes back. */
function encodeSkb(fields: SkbFields): Buffer {
  const skb = Buffer.alloc(2 * SKB_BYTES);
  skb.writeUInt32LE(fields.mark ?? 0, 8);
  skb.writeUInt32LE(fields.priority ?? 0, 32);
  skb.writeUInt32LE(fields.ingressIfindex ?? 0, 36);
  skb.writeUInt32LE(fields.ifindex ?? 0, 40);
  skb.writeUInt32LE(fields.gsoSize ?? 0, 176);
  return skb;
}
