import { constants } from 'node:os';
import { UnsupportedError } from '../errors.ts';
import { checked, checkedErrno, checkedPrivileged } from './errno.ts';
import { Fd } from './fd.ts';
import { openPin, pinFd } from './pin.ts';
import type { BpfProgram } from './program.ts';
import { addressOf, bpf, lastErrno, libc } from './symbols.ts';

/** A side of an interface: packets that come in, or go out. */
export type Direction = 'ingress' | 'egress';

/** enum bpf_attach_type of the hooks of a cgroup. */
export const CgroupHook = {
  skbIngress: 0,
  skbEgress: 1,
  sockCreate: 2,
  sockOps: 3,
  inet4Connect: 10,
  inet6Connect: 11,
  udp4Sendmsg: 14,
  udp6Sendmsg: 15,
};

/** What the kernel tells of a link. `ifindex` is 0 when a tcx link's interface is gone or in another namespace. */
export type LinkInfo =
  | {
      readonly kind: 'tcx';
      readonly id: number;
      readonly progId: number;
      readonly ifindex: number;
      readonly direction: Direction;
    }
  | {
      readonly kind: 'cgroup';
      readonly id: number;
      readonly progId: number;
      readonly cgroupId: bigint;
      readonly hook: number;
    }
  | { readonly kind: 'other'; readonly id: number; readonly progId: number };

/** One program of a chain. `linkId` is 0 for a program that was attached without a link. */
export interface Attached {
  readonly progId: number;
  readonly linkId: number;
}

const BPF_PROG_QUERY = 16;
const BPF_LINK_CREATE = 28;
const BPF_F_BEFORE = 1 << 3;
const BPF_TCX = { ingress: 46, egress: 47 };
const LINK_TYPE_CGROUP = 3;
const LINK_TYPE_TCX = 11;
const LOOPBACK_IFINDEX = 1;
/* BPF_MPROG_MAX */
const MAX_CHAIN = 64;

/** Owns an attachment: it ends when neither a descriptor nor a pin holds it. */
export class BpfLink implements Disposable {
  readonly #fd: Fd;

  /** Takes ownership of `fd`. */
  constructor(fd: Fd) {
    this.#fd = fd;
  }

  /** The link pinned at `path`, or `undefined`. Throws SystemError. */
  static openPinned(path: string): BpfLink | undefined {
    const fd = openPin(path, 'link');
    return fd && new BpfLink(fd);
  }

  get fd(): number {
    return this.#fd.number;
  }

  /** Throws SystemError. */
  pin(path: string): void {
    pinFd(this.fd, path);
  }

  /** Puts `program` in place of the one that runs, with no gap. Throws SystemError (ENOLINK: interface is gone). */
  update(program: BpfProgram): void {
    checked(bpf.linkUpdate(this.fd, program.fd, null), 'put another program on a BPF link');
  }

  /** Ends the attachment though pins or other descriptors hold the link. Throws SystemError. */
  detach(): void {
    checked(bpf.linkDetach(this.fd), 'detach a BPF link');
  }

  /** Throws SystemError. */
  info(): LinkInfo {
    const info = Buffer.alloc(32); // struct bpf_link_info
    const length = Buffer.alloc(4);
    length.writeUInt32LE(info.length);
    checked(bpf.infoByFd(this.fd, info, length), 'read link info');
    const id = info.readUInt32LE(4);
    const progId = info.readUInt32LE(8);
    switch (info.readUInt32LE(0)) {
      case LINK_TYPE_TCX: {
        const direction = info.readUInt32LE(20) === BPF_TCX.ingress ? 'ingress' : 'egress';
        return { kind: 'tcx', id, progId, ifindex: info.readUInt32LE(16), direction };
      }
      case LINK_TYPE_CGROUP:
        return {
          kind: 'cgroup',
          id,
          progId,
          cgroupId: info.readBigUInt64LE(16),
          hook: info.readUInt32LE(24),
        };
      default:
        return { kind: 'other', id, progId };
    }
  }

  /** Idempotent. Ends the attachment unless the link is pinned. */
  close(): void {
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Whether the kernel has tcx (Linux 6.6). Throws SystemError, UnsupportedError without privilege. */
export function hasTcx(): boolean {
  const query = encodeQuery(LOOPBACK_IFINDEX, 'ingress', Buffer.alloc(0), Buffer.alloc(0), 0);
  const answer = callBpf(BPF_PROG_QUERY, query);
  if (answer < 0 && lastErrno() === constants.errno.EINVAL) return false;
  checkedErrno(answer, 'ask whether the kernel has tcx');
  return true;
}

/**
 * Attaches `program` as the first of the chain on an interface of the current network namespace.
 * Throws SystemError (ENODEV), UnsupportedError without privilege.
 */
export function attachTcx(program: BpfProgram, ifindex: number, direction: Direction): BpfLink {
  const attr = Buffer.alloc(32); // union bpf_attr, link_create; BEFORE relative to nothing means: first
  attr.writeUInt32LE(program.fd, 0);
  attr.writeUInt32LE(ifindex, 4);
  attr.writeUInt32LE(BPF_TCX[direction], 8);
  attr.writeUInt32LE(BPF_F_BEFORE, 12);
  const answer = callBpf(BPF_LINK_CREATE, attr);
  return new BpfLink(new Fd(checkedErrno(answer, `attach to ${direction} of interface ${ifindex}`)));
}

/** The chain of an interface of the current network namespace, first to run first. Throws SystemError (ENODEV). */
export function queryTcx(ifindex: number, direction: Direction): Attached[] {
  const progIds = Buffer.alloc(MAX_CHAIN * 4);
  const linkIds = Buffer.alloc(MAX_CHAIN * 4);
  const query = encodeQuery(ifindex, direction, progIds, linkIds, MAX_CHAIN);
  checkedErrno(
    callBpf(BPF_PROG_QUERY, query),
    `list what is attached to ${direction} of interface ${ifindex}`,
  );
  const chain: Attached[] = [];
  for (let i = 0; i < query.readUInt32LE(24); i++) {
    chain.push({ progId: progIds.readUInt32LE(i * 4), linkId: linkIds.readUInt32LE(i * 4) });
  }
  return chain;
}

/** Attaches `program` to the cgroup that `cgroupFd` (a directory) names. Throws SystemError, UnsupportedError. */
export function attachCgroup(program: BpfProgram, cgroupFd: number, hook: number): BpfLink {
  const answer = bpf.linkCreate(program.fd, cgroupFd, hook, null);
  return new BpfLink(new Fd(checkedPrivileged(answer, `attach to hook ${hook} of a cgroup`)));
}

function encodeQuery(
  ifindex: number,
  direction: Direction,
  progIds: Buffer,
  linkIds: Buffer,
  count: number,
): Buffer {
  const attr = Buffer.alloc(64); // union bpf_attr, query
  attr.writeUInt32LE(ifindex, 0);
  attr.writeUInt32LE(BPF_TCX[direction], 4);
  if (count > 0) {
    attr.writeBigUInt64LE(addressOf(progIds), 16);
    attr.writeUInt32LE(count, 24);
    attr.writeBigUInt64LE(addressOf(linkIds), 40);
  }
  return attr;
}

/* libbpf 1.1 does not know tcx. */
function callBpf(command: number, attr: Buffer): number {
  return libc.bpfSyscall(bpfSyscallNumber(), command, attr, attr.length);
}

function bpfSyscallNumber(): number {
  switch (process.arch) {
    case 'x64':
      return 321;
    case 'arm64':
      return 280;
    default:
      throw new UnsupportedError(`Cannot call bpf(2) on "${process.arch}": only x64 and arm64 are known`);
  }
}
