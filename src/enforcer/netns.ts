import { closeSync, existsSync, openSync, readdirSync, statSync } from 'node:fs';
import { SystemError, UsageError } from '../errors.ts';
import { enterNetns, netnsCookie } from '../libbpf/setns.ts';

/** Where to work: a namespace under /run/netns, the file of one, or that of a process. */
export type Netns =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'pid'; readonly pid: number };

/** A network namespace for good: the kernel gives the inode of one that is gone to another, never the cookie. */
export interface NetnsIdentity {
  readonly inode: number;
  readonly cookie: string;
}

/** The inode that names this process's network namespace in /proc. */
export function netnsInode(): number {
  return statSync('/proc/self/ns/net').ino;
}

/** Moves this process there, before it has any thread. Throws UsageError, SystemError. */
export function enterNamed(netns: Netns): void {
  const path = pathOf(netns);
  if (!existsSync(path)) {
    throw new UsageError(
      `network namespace "${path}" is not there: a name of "ip netns list", a path or pid:N is legal`,
    );
  }
  try {
    enterNetns(path);
  } catch (thrown) {
    if (!(thrown instanceof SystemError && thrown.code === 'EINVAL')) throw thrown;
    throw new UsageError(
      `"${path}" is no network namespace: a name of "ip netns list", a path or pid:N is legal`,
    );
  }
}

/** What -netns takes for it. */
export function netnsText(netns: Netns): string {
  switch (netns.kind) {
    case 'name':
      return netns.name;
    case 'path':
      return netns.path;
    case 'pid':
      return `pid:${netns.pid}`;
    default:
      return netns satisfies never;
  }
}

/** The network namespace of this process. Throws SystemError. */
export function ownNetns(): NetnsIdentity {
  return { inode: netnsInode(), cookie: netnsCookie().toString() };
}

/**
 * What `act`, which must not wait, answers in that network namespace; this process is back in its own one after it.
 * `undefined` when it is gone, or neither a process nor /run/netns names it. Throws what `act` throws, SystemError.
 */
export function actIn<T>(netns: NetnsIdentity, act: () => T): T | undefined {
  if (netns.inode === netnsInode()) return netns.cookie === ownNetns().cookie ? act() : undefined;
  const path = findNetns(netns.inode);
  if (path === undefined) return undefined;
  const own = openSync('/proc/self/ns/net', 'r');
  try {
    enterNetns(path);
    return netns.cookie === ownNetns().cookie ? act() : undefined;
  } finally {
    enterNetns(`/proc/self/fd/${own}`);
    closeSync(own);
  }
}

/** The cookie of the network namespace of a file, such as /proc/PID/ns/net. Throws SystemError. */
export function cookieOf(path: string): bigint {
  const own = openSync('/proc/self/ns/net', 'r');
  try {
    enterNetns(path);
    return netnsCookie();
  } finally {
    enterNetns(`/proc/self/fd/${own}`);
    closeSync(own);
  }
}

function findNetns(inode: number): string | undefined {
  const named = existsSync('/run/netns') ? readdirSync('/run/netns').map((name) => `/run/netns/${name}`) : [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/u.test(name));
  return [...named, ...pids.map((pid) => `/proc/${pid}/ns/net`)].find((path) => inodeOf(path) === inode);
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined; // the process ended, or is not for us to look at
  }
}

function pathOf(netns: Netns): string {
  switch (netns.kind) {
    case 'name':
      return `/run/netns/${netns.name}`;
    case 'path':
      return netns.path;
    case 'pid':
      return `/proc/${netns.pid}/ns/net`;
    default:
      return netns satisfies never;
  }
}
