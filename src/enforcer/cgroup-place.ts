import { existsSync, statSync } from 'node:fs';
import { SystemError, UnsupportedError, UsageError } from '../errors.ts';
import { cgroupOfPid, needCgroup2 } from '../libbpf/cgroup2.ts';
import { cgroupOfUnit } from '../libbpf/unit-cgroup.ts';
import type { CgroupSubject } from '../policy/subject.ts';

/** A directory of the cgroup2 tree. */
export interface CgroupPlace {
  readonly path: string;
  /** Its inode, by which the kernel knows the cgroup. */
  readonly id: bigint;
  /** How deep it lies below the root of the tree, which is 0. */
  readonly level: number;
}

/** The cgroup of a subject by path, unit or process. Throws UsageError when it is not there, UnsupportedError. */
export function placeOfSubject(subject: CgroupSubject): CgroupPlace {
  switch (subject.kind) {
    case 'cgroup': {
      const mount = needCgroup2();
      const path = subject.path.startsWith(`${mount}/`) ? subject.path : `${mount}${subject.path}`;
      return placeAt(path, `cgroup "${subject.path}"`);
    }
    case 'pid':
      return placeAt(directoryOfPid(subject.pid), `the cgroup of process ${subject.pid}`);
    case 'unit':
      return placeAt(cgroupOfUnit(subject.unit), `unit "${subject.unit}"`);
    default:
      return subject satisfies never;
  }
}

/** As `placeOfSubject`, undefined when it is not there. */
export function findPlace(subject: CgroupSubject): CgroupPlace | undefined {
  try {
    return placeOfSubject(subject);
  } catch (thrown) {
    if (thrown instanceof UsageError) return undefined;
    throw thrown;
  }
}

/** Whether the cgroup is still there, and not another one at its path. */
export function isSamePlace({ path, id }: CgroupPlace): boolean {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino === id;
}

/** Where the cgroup of a subject is, or would be if it were there; undefined where that is not known. */
export function expectedPath(subject: CgroupSubject): string | undefined {
  const mount = needCgroup2();
  if (subject.kind === 'unit') return findPlace(subject)?.path ?? `${mount}/system.slice/${subject.unit}`;
  if (subject.kind === 'pid') return undefined; // it is the process that was meant, not what comes after it
  return subject.path.startsWith(`${mount}/`) ? subject.path : `${mount}${subject.path}`;
}

/** What is known of a directory of the tree; `what` names it in errors. Throws UsageError, UnsupportedError. */
export function placeAt(path: string, what: string): CgroupPlace {
  const mount = needCgroup2();
  const level = path.slice(mount.length).split('/').filter(Boolean).length;
  if (path === mount || level === 0)
    throw new UsageError(`${what} is the root of all cgroups: one below it is legal`);
  if (!existsSync(`${path}/cgroup.procs`)) {
    throw new UsageError(
      `${what} is not there: "${path}" is no directory of the cgroup2 tree at ${mount}; -wait waits for it`,
    );
  }
  return { path, id: statSync(path, { bigint: true }).ino, level };
}

function directoryOfPid(pid: number): string {
  try {
    return cgroupOfPid(pid);
  } catch (thrown) {
    if (thrown instanceof UnsupportedError || thrown instanceof SystemError)
      throw new UsageError(
        `process ${pid} is not there, or in no cgroup of the cgroup2 tree: ${thrown.message}`,
      );
    throw thrown;
  }
}
