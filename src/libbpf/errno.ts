import { constants } from 'node:os';
import { SystemError, UnsupportedError } from '../errors.ts';
import { lastErrno } from './symbols.ts';

const PRIVILEGE = 'CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, or root';

const names = new Map<number, string>([
  // Linux has two names for these; this is the one that manual pages use.
  [constants.errno.EAGAIN, 'EAGAIN'],
  [constants.errno.EOPNOTSUPP, 'EOPNOTSUPP'],
  // Of the kernel's own, leaks out of bpf(2).
  [524, 'ENOTSUPP'],
  // libbpf.h, enum libbpf_errno
  [4000, 'LIBBPF_LIBELF'],
  [4001, 'LIBBPF_FORMAT'],
  [4002, 'LIBBPF_KVERSION'],
  [4003, 'LIBBPF_ENDIAN'],
  [4004, 'LIBBPF_INTERNAL'],
  [4005, 'LIBBPF_RELOC'],
  [4006, 'LIBBPF_LOAD'],
  [4007, 'LIBBPF_VERIFY'],
  [4008, 'LIBBPF_PROG2BIG'],
  [4009, 'LIBBPF_KVER'],
  [4010, 'LIBBPF_PROGTYPE'],
  [4011, 'LIBBPF_WRNGPID'],
  [4012, 'LIBBPF_INVSEQ'],
  [4013, 'LIBBPF_NLPARSE'],
]);
for (const [name, number] of Object.entries(constants.errno)) {
  if (!names.has(number)) names.set(number, name);
}

/** The name of an errno, such as ENOENT; `errno 4711` for one that has none. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** Passes on what a libbpf call answered. Throws SystemError when it is a negative errno. */
export function checked(answer: number, operation: string): number {
  if (answer < 0) throw new SystemError(operation, errnoName(-answer));
  return answer;
}

/** As `checked`, for calls that need privilege: EPERM becomes UnsupportedError. */
export function checkedPrivileged(answer: number, operation: string): number {
  if (answer < 0) throw failure(-answer, operation);
  return answer;
}

/**
 * Passes on what a libc call answered. Throws SystemError with errno when it is negative; EPERM: UnsupportedError that
 * names the `privilege`.
 */
export function checkedErrno(answer: number, operation: string, privilege = PRIVILEGE): number {
  if (answer < 0) throw failure(lastErrno(), operation, privilege);
  return answer;
}

/** The error for `errno`: UnsupportedError that names the privilege for EPERM, else SystemError. */
export function failure(
  errno: number,
  operation: string,
  privilege = PRIVILEGE,
): UnsupportedError | SystemError {
  if (errno === constants.errno.EPERM) {
    return new UnsupportedError(`Cannot ${operation}: not permitted, this needs ${privilege}`);
  }
  return new SystemError(operation, errnoName(errno));
}
