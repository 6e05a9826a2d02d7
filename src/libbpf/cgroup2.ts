import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SystemError, UnsupportedError } from '../errors.ts';

/**
 * Where the whole cgroup2 tree is mounted, by the type of the file system: /sys/fs/cgroup, or
 * /sys/fs/cgroup/unified beside the v1 hierarchies. `undefined` where it is not.
 * @param mountinfo what /proc/self/mountinfo holds, proc_pid_mountinfo(5)
 */
export function findCgroup2(mountinfo: string): string | undefined {
  for (const line of mountinfo.split('\n')) {
    const [mount = '', fileSystem = ''] = line.split(' - ');
    const [, , , root, path] = mount.split(' ');
    // A mount of a part of the tree, as containers have: the paths of /proc/PID/cgroup are not below it.
    if (fileSystem.startsWith('cgroup2 ') && root === '/') return path && unescapeOctal(path);
  }
  return undefined;
}

/** Where the cgroup2 tree is mounted here; undefined where it is not. */
export function cgroup2Mount(): string | undefined {
  return findCgroup2(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** As `cgroup2Mount`. Throws UnsupportedError where it is not. */
export function needCgroup2(): string {
  const mount = cgroup2Mount();
  if (mount !== undefined) return mount;
  throw new UnsupportedError(
    'cgroup2 is not mounted: `mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified` does it beside v1 hierarchies',
  );
}

/**
 * The path in the cgroup2 tree, which is the line with hierarchy 0, cgroups(7). `undefined` for a cgroup that was
 * removed, and for one outside of the reader's cgroup namespace.
 * @param text what /proc/PID/cgroup holds
 */
export function parseCgroup2Path(text: string): string | undefined {
  const path = /^0::(\/.*)$/mu.exec(text)?.[1];
  if (path === undefined || path.endsWith(' (deleted)') || path.split('/').includes('..')) return undefined;
  return path;
}

/** The path in the cgroup2 tree of a process that runs, from `/`. Throws SystemError (ESRCH), UnsupportedError. */
export function cgroup2PathOf(pid: number): string {
  const text = readProc(pid, 'cgroup');
  const path = parseCgroup2Path(text);
  if (path !== undefined) return path;
  throw new UnsupportedError(
    `process ${pid} has no cgroup2 that is seen from here: "${text.trim().split('\n').at(-1)}"`,
  );
}

/** The directory, in the cgroup2 mount, of the cgroup that a process is in. Throws SystemError (ESRCH), UnsupportedError. */
export function cgroupOfPid(pid: number): string {
  const directory = cgroupDirectory(cgroup2PathOf(pid));
  if (existsSync(directory)) return directory;
  throw new UnsupportedError(
    `the cgroup of process ${pid} is not at "${directory}": another cgroup2 tree is mounted there, or it is gone`,
  );
}

/** The directory of a path in the cgroup2 tree, without a slash at its end. Throws UnsupportedError. */
export function cgroupDirectory(path: string): string {
  return join(needCgroup2(), path).replace(/\/$/u, '');
}

/** Reads a small file of a process. Throws SystemError (ESRCH when the process is gone). */
export function readProc(pid: number, file: 'cgroup' | 'status' | 'stat'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (cause) {
    throw new SystemError(`read "${file}" of process ${pid}`, 'ESRCH', { cause });
  }
}

/* The kernel writes blank, tab, line feed and backslash of a path as three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/gu, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
