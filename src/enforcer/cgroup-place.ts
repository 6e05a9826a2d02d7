import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { UnsupportedError, UsageError } from '../errors.ts';
import type { Subject } from '../policy/subject.ts';
import { findCgroup2 } from './process-hooks.ts';

/** A directory of the cgroup2 tree. */
export interface CgroupPlace {
  readonly path: string;
  /** Its inode, by which the kernel knows the cgroup. */
  readonly id: bigint;
  /** How deep it lies below the root of the tree, which is 0. */
  readonly level: number;
}

/** Where cgroup2 is mounted. Throws UnsupportedError. */
export function cgroupMount(): string {
  const mount = findCgroup2(readFileSync('/proc/self/mounts', 'utf8'));
  if (mount !== undefined) return mount;
  throw new UnsupportedError(
    'Cannot find a cgroup2 mount: "mount -t cgroup2 none /sys/fs/cgroup/unified" makes one',
  );
}

/** The cgroup of a subject by path, unit or process. Throws UsageError when it is not there, UnsupportedError. */
export function placeOfSubject(subject: Subject & { readonly kind: 'cgroup' | 'unit' | 'pid' }): CgroupPlace {
  const mount = cgroupMount();
  switch (subject.kind) {
    case 'cgroup': {
      const path = subject.path.startsWith(`${mount}/`) ? subject.path : `${mount}${subject.path}`;
      return placeAt(path, mount, `cgroup "${subject.path}"`);
    }
    case 'pid':
      return placeAt(`${mount}${cgroupOfPid(subject.pid)}`, mount, `the cgroup of process ${subject.pid}`);
    case 'unit':
      return placeAt(findUnit(mount, subject.unit), mount, `unit "${subject.unit}"`);
    default:
      return subject satisfies never;
  }
}

/** What is known of a directory of the tree. Throws UsageError. */
export function placeAt(path: string, mount: string, what: string): CgroupPlace {
  if (!existsSync(`${path}/cgroup.procs`)) {
    throw new UsageError(`${what} is not there: "${path}" is no directory of the cgroup2 tree at ${mount}`);
  }
  const level = path.slice(mount.length).split('/').filter(Boolean).length;
  if (level === 0) throw new UsageError(`${what} is the root of all cgroups: one below it is legal`);
  return { path, id: statSync(path, { bigint: true }).ino, level };
}

/* proc(5): the line of the unified tree is `0::PATH`. */
function cgroupOfPid(pid: number): string {
  try {
    const path = /^0::(.*)$/mu.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1];
    if (path !== undefined) return path;
  } catch {
    // no such process: said below
  }
  throw new UsageError(`process ${pid} is not there, or in no cgroup of the unified tree`);
}

/* Slices within slices: a-b.slice lies in a.slice. Units of users lie deeper, so the tree is walked. */
function findUnit(mount: string, unit: string): string {
  const waiting = [mount];
  for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      if (entry.name === unit) return `${at}/${entry.name}`;
      waiting.push(`${at}/${entry.name}`);
    }
  }
  return `${mount}/system.slice/${unit}`; // where it would be
}
