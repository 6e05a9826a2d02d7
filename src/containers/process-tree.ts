import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readProc } from '../libbpf/cgroup2.ts';

/** All that descends from a process, at this moment; nothing when it ended. */
export function descendants(pid: number): number[] {
  const children = listNumbers(`/proc/${pid}/task`).flatMap((task) =>
    readPids(`/proc/${pid}/task/${task}/children`),
  );
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** What names the pid namespace of a process; undefined where it is our own one, or the process is gone. */
export function foreignPidNamespace(pid: number): string | undefined {
  const link = namespaceLink(pid);
  return link === namespaceLink(process.pid) ? undefined : link;
}

/** The processes that are in that pid namespace itself. */
export function processesIn(pidNamespace: string): number[] {
  return listNumbers('/proc').filter((pid) => namespaceLink(pid) === pidNamespace);
}

/** The parent of a process; 1 where it is outside of our pid namespace. Throws SystemError (ESRCH). */
export function parentOf(pid: number): number {
  const parent = Number(/^PPid:\s*(\d+)$/mu.exec(readProc(pid, 'status'))?.[1]);
  return parent > 0 ? parent : 1;
}

/** The pids that a file such as cgroup.procs holds; none when it is gone. */
export function readPids(file: string): number[] {
  try {
    return readFileSync(file, 'utf8')
      .trim()
      .split(/\s+/u)
      .map(Number)
      .filter((number) => number > 0);
  } catch {
    return []; // it ended
  }
}

function namespaceLink(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // it ended
  }
}

function listNumbers(directory: string): number[] {
  try {
    return readdirSync(directory).map(Number).filter(Number.isInteger);
  } catch {
    return []; // it ended
  }
}
