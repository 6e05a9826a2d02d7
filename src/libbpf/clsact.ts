import { constants } from 'node:os';
import { checkedPrivileged } from './errno.ts';
import type { Direction } from './link.ts';
import type { BpfProgram } from './program.ts';
import { bpf } from './symbols.ts';

/** A place for one filter on clsact of an interface of the current network namespace. Both numbers are above 0. */
export interface FilterPlace {
  readonly ifindex: number;
  readonly direction: Direction;
  readonly handle: number;
  readonly priority: number;
}

const BPF_TC_INGRESS = 1;
const BPF_TC_EGRESS = 2;
const BPF_TC_F_REPLACE = 1;
const { EEXIST, ENOENT, EINVAL } = constants.errno;

/** Adds the clsact qdisc; false when the interface has one (or `ingress`). Throws SystemError, UnsupportedError. */
export function addClsact(ifindex: number): boolean {
  const answer = bpf.tcHookCreate(encodeHook(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS));
  if (answer === -EEXIST) return false;
  checkedPrivileged(answer, `add clsact to interface ${ifindex}`);
  return true;
}

/** Removes the clsact qdisc with every filter on it, also those of others. Throws SystemError. */
export function removeClsact(ifindex: number): void {
  const answer = bpf.tcHookDestroy(encodeHook(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS));
  checkedPrivileged(answer, `remove clsact of interface ${ifindex}`);
}

/** Puts `program` at `place`, instead of what is there, with no gap. Throws SystemError, UnsupportedError. */
export function attachFilter(program: BpfProgram, place: FilterPlace): void {
  const opts = encodeOpts(place);
  opts.writeInt32LE(program.fd, 8);
  opts.writeUInt32LE(BPF_TC_F_REPLACE, 12);
  const answer = bpf.tcAttach(hookOf(place), opts);
  checkedPrivileged(answer, `add a filter to ${place.direction} of interface ${place.ifindex}`);
}

/** Id of the program at `place`; `undefined` when none is there. Throws SystemError. */
export function queryFilter(place: FilterPlace): number | undefined {
  const opts = encodeOpts(place);
  const answer = bpf.tcQuery(hookOf(place), opts);
  if (isAbsent(answer)) return undefined;
  checkedPrivileged(answer, `read a filter on ${place.direction} of interface ${place.ifindex}`);
  return opts.readUInt32LE(16);
}

/** Removes the filter at `place`; false when none was there. Throws SystemError. */
export function detachFilter(place: FilterPlace): boolean {
  const answer = bpf.tcDetach(hookOf(place), encodeOpts(place));
  if (isAbsent(answer)) return false;
  checkedPrivileged(answer, `remove a filter from ${place.direction} of interface ${place.ifindex}`);
  return true;
}

/* ENOENT: no such filter. EINVAL: no clsact at all. */
function isAbsent(answer: number): boolean {
  return answer === -ENOENT || answer === -EINVAL;
}

function hookOf(place: FilterPlace): Buffer {
  return encodeHook(place.ifindex, place.direction === 'ingress' ? BPF_TC_INGRESS : BPF_TC_EGRESS);
}

function encodeHook(ifindex: number, attachPoint: number): Buffer {
  const hook = Buffer.alloc(24); // struct bpf_tc_hook
  hook.writeBigUInt64LE(24n, 0);
  hook.writeInt32LE(ifindex, 8);
  hook.writeUInt32LE(attachPoint, 12);
  return hook;
}

function encodeOpts(place: FilterPlace): Buffer {
  const opts = Buffer.alloc(32); // struct bpf_tc_opts
  opts.writeBigUInt64LE(32n, 0);
  opts.writeUInt32LE(place.handle, 20);
  opts.writeUInt32LE(place.priority, 24);
  return opts;
}
