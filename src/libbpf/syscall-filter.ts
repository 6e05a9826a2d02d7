import { UnsupportedError } from '../errors.ts';

/** What a process can be kept from calling, with its numbers on x86-64 and arm64; absent: it has no such call. */
const CALLS = {
  execve: [59, 221],
  execveat: [322, 281],
  fork: [57],
  vfork: [58],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  setns: [308, 268],
  unshare: [272, 97],
  pidfd_getfd: [438, 438],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  iopl: [172],
  ioperm: [173],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  adjtimex: [159, 171],
  clock_adjtime: [305, 266],
  acct: [163, 89],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  syslog: [103, 116],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  userfaultfd: [323, 282],
  open_by_handle_at: [304, 265],
  perf_event_open: [298, 241],
  personality: [135, 92],
  io_uring_setup: [425, 425],
  setuid: [105, 146],
  setgid: [106, 144],
  setreuid: [113, 145],
  setregid: [114, 143],
  setgroups: [116, 159],
  setresuid: [117, 147],
  setresgid: [119, 149],
  setfsuid: [122, 151],
  setfsgid: [123, 152],
} as const satisfies { readonly [name: string]: readonly [x64: number, arm64?: number] };

/** The name of a system call that can be refused. */
export type FilteredCall = keyof typeof CALLS;

/** All of them. */
export function filteredCalls(): FilteredCall[] {
  return Object.keys(CALLS).filter((name): name is FilteredCall => name in CALLS);
}

/** Its number on an architecture as node names it, which has to be one of these; undefined where it has no such call. */
export function callNumber(name: FilteredCall, arch: 'x64' | 'arm64'): number | undefined {
  return CALLS[name][arch === 'x64' ? 0 : 1];
}

/** Of linux/audit.h. */
const ARCHITECTURES = { x64: 0xc000_003e, arm64: 0xc000_00b7 };
/** Calls of the x32 ABI, on x86-64. */
const X32_FROM = 0x4000_0000;

/** Of linux/filter.h and linux/seccomp.h. */
const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const RETURN = 0x06;
const ALLOW = 0x7fff_0000;
const EPERM = 0x0005_0001;
const NUMBER_AT = 0;
const ARCHITECTURE_AT = 4;

/**
 * A classic BPF program, as `struct sock_filter`s, by which these calls fail with EPERM and all others pass. What is
 * called by the numbers of another architecture fails. Throws UnsupportedError for an architecture that has no numbers here.
 */
export function refusingFilter(calls: readonly FilteredCall[], arch: string): Buffer {
  if (arch !== 'x64' && arch !== 'arm64') {
    throw new UnsupportedError(`Cannot refuse system calls on a processor "${arch}"`);
  }
  const architecture = ARCHITECTURES[arch];
  const numbers = calls.flatMap((name) => callNumber(name, arch) ?? []);
  const steps = [
    step(LOAD_WORD, ARCHITECTURE_AT),
    step(JUMP_EQUAL, architecture, 1, 0),
    step(RETURN, EPERM),
    step(LOAD_WORD, NUMBER_AT),
    step(JUMP_AT_LEAST, X32_FROM, numbers.length + 1, 0),
    ...numbers.map((number, index) => step(JUMP_EQUAL, number, numbers.length - index, 0)),
    step(RETURN, ALLOW),
    step(RETURN, EPERM),
  ];
  return Buffer.concat(steps);
}

function step(code: number, value: number, ifTrue = 0, ifFalse = 0): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(ifTrue, 2);
  bytes.writeUInt8(ifFalse, 3);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}
