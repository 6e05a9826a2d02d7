import { readFileSync } from 'node:fs';
import { SystemError } from '../errors.ts';
import { checkedErrno } from './errno.ts';
import { addressOf, libc } from './symbols.ts';
import { type FilteredCall, refusingFilter } from './syscall-filter.ts';

/** Numbers of linux/capability.h. */
export const Capability = {
  dacReadSearch: 2,
  kill: 5,
  netAdmin: 12,
  sysPtrace: 19,
  sysAdmin: 21,
  perfmon: 38,
  bpf: 39,
} as const;

/** Values of `Capability`. */
export type CapabilityNumber = (typeof Capability)[keyof typeof Capability];

/** _LINUX_CAPABILITY_VERSION_3 */
const VERSION = 0x2008_0522;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_TSYNC = 1;
const SECCOMP: { readonly [arch: string]: number } = { x64: 317, arm64: 277 };

/**
 * Takes all capabilities but these from the calling thread, for good, and from the threads that it starts from now on;
 * capset(2). Those that run already keep theirs. What it does not have it does not get. Throws SystemError.
 */
export function keepCapabilities(keep: readonly CapabilityNumber[]): void {
  const held = heldCapabilities();
  const kept = keep.reduce((mask, number) => mask | (1n << BigInt(number)), 0n) & held;
  const header = Buffer.alloc(8);
  header.writeUInt32LE(VERSION, 0);
  const data = Buffer.alloc(24); // twice { effective, permitted, inheritable }
  for (const [index, half] of [kept & 0xffff_ffffn, kept >> 32n].entries()) {
    data.writeUInt32LE(Number(half), 12 * index);
    data.writeUInt32LE(Number(half), 12 * index + 4);
  }
  checkedErrno(libc.capset(header, data), 'give capabilities up');
}

/** The permitted ones of the calling thread, a bit for each. */
function heldCapabilities(): bigint {
  const [, hex] = /^CapPrm:\s+([0-9a-f]+)$/mu.exec(readFileSync('/proc/thread-self/status', 'latin1')) ?? [];
  if (hex === undefined) throw new SystemError('read which capabilities there are', 'no CapPrm');
  return BigInt(`0x${hex}`);
}

/**
 * From now on these calls fail with EPERM, in each thread of this process, for good; nor does it gain a privilege by
 * execve(2). seccomp(2). Throws SystemError.
 */
export function refuseCalls(calls: readonly FilteredCall[]): void {
  const number = SECCOMP[process.arch];
  if (number === undefined) throw new SystemError('refuse system calls', `unknown processor ${process.arch}`);
  const filter = refusingFilter(calls, process.arch);
  const program = Buffer.alloc(16); // struct sock_fprog
  program.writeUInt16LE(filter.length / 8, 0);
  program.writeBigUInt64LE(addressOf(filter), 8);
  checkedErrno(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'gain no privileges');
  const failed = libc.seccomp(number, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program);
  // With TSYNC the number of a thread that has another filter.
  checkedErrno(failed > 0 ? -1 : failed, 'refuse system calls');
}
