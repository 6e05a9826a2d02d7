import { readlinkSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { SystemError } from '../errors.ts';
import { checkedPrivileged } from './errno.ts';
import { Fd } from './fd.ts';
import { bpf } from './symbols.ts';

/** What a pin may hold. */
export type PinKind = (typeof KINDS)[number];

const KINDS = ['map', 'prog', 'link'] as const;

/** Pins a map, program or link at `path` on a bpffs. Throws SystemError (EEXIST, ENOENT), UnsupportedError. */
export function pinFd(fd: number, path: string): void {
  checkedPrivileged(bpf.pin(fd, path), `pin "${path}"`);
}

/** Opens the pin at `path`; `undefined` when there is none. Throws SystemError, also when it holds another kind. */
export function openPin(path: string, kind: PinKind): Fd | undefined {
  const fd = openAny(path);
  if (fd === undefined) return undefined;
  const found = kindOf(fd);
  if (found === kind) return fd;
  fd.close();
  throw new SystemError(`open pin "${path}" as a ${kind} (it is a ${found ?? 'thing unknown'})`, 'EINVAL');
}

/** What the pin at `path` holds; `undefined` when there is none. Throws SystemError. */
export function pinKind(path: string): PinKind | undefined {
  using fd = openAny(path);
  return fd && kindOf(fd);
}

function openAny(path: string): Fd | undefined {
  const answer = bpf.openPin(path);
  if (answer === -constants.errno.ENOENT) return undefined;
  return new Fd(checkedPrivileged(answer, `open pin "${path}"`));
}

/* The kernel answers info of whatever the descriptor is; a program's read as a map's would make no sense. */
function kindOf(fd: Fd): PinKind | undefined {
  const [, word] = /bpf[-_](map|prog|link)/u.exec(readlinkSync(`/proc/self/fd/${fd.number}`)) ?? [];
  return KINDS.find((kind) => kind === word);
}

/** Pins what is pinned at `from` at `to`, too, unless there is a pin already. Throws SystemError, UnsupportedError. */
export function repin(from: string, to: string): void {
  using pinned = openAny(from);
  using there = openAny(to);
  if (pinned && !there) pinFd(pinned.number, to);
}

/** Removes the pin at `path`; one that is not there is no error. */
export function unpin(path: string): void {
  rmSync(path, { force: true });
}
