import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { SystemError } from '../errors.ts';
import { cgroup2PathOf, cgroupDirectory, needCgroup2 } from '../libbpf/cgroup2.ts';
import type { Container } from './container.ts';
import { holdsCgroup, ownCgroupPath } from './own-cgroup.ts';
import { descendants, foreignPidNamespace, parentOf, processesIn, readPids } from './process-tree.ts';

/** Begins the names of cgroups that are made here; what is left of a killed process is known by it. */
const OURS = 'l7egg-';
const HASH_DIGITS = 16;
/** A tree that forks faster than it is moved leaves some behind; each round moves what the one before missed. */
const MAX_ROUNDS = 20;
const MAX_DEPTH = 32;

/** The cgroup2 of a container: the runtime's own, or one that was made here for it. */
export class TaskCgroup implements Disposable {
  /** The directory in the cgroup2 mount; programs attached to it see every process of the container. */
  readonly directory: string;
  /** Whether it was made here: then its processes were moved into it, and further ones have to be. */
  readonly isOurs: boolean;
  readonly #pidNamespace: string | undefined;

  /** Use `openTaskCgroup`. */
  constructor(directory: string, isOurs: boolean, pidNamespace: string | undefined) {
    this.directory = directory;
    this.isOurs = isOurs;
    this.#pidNamespace = pidNamespace;
  }

  /**
   * Moves a process that the runtime started in the container, and what it started, into it; nothing where the
   * runtime does. Sockets that are open already keep the cgroup they were made in.
   */
  adopt(pid: number): void {
    if (this.isOurs) moveTree(pid, this.directory, this.#pidNamespace);
  }

  /** Where it is ours: puts its processes back where they came from, and removes it. Idempotent. Throws SystemError. */
  close(): void {
    if (!this.isOurs || !existsSync(this.directory)) return;
    const parent = dirname(this.directory);
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const pids = readPids(join(this.directory, 'cgroup.procs'));
      if (pids.length === 0) break;
      for (const pid of pids) move(pid, parent);
    }
    try {
      rmdirSync(this.directory);
    } catch (cause) {
      throw new SystemError(`remove cgroup "${this.directory}"`, codeOf(cause), { cause });
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Finds the container's cgroup2. Where the runtime leaves it in one that it shares with others (runc before 1.1 beside
 * v1 hierarchies) one is made below that, and the container's processes are moved into it: at `created` that is one
 * process that has no socket yet. It limits nothing: a cgroup with processes hands no controller down, cgroups(7).
 * Throws SystemError (ESRCH: it ended), UnsupportedError without cgroup2.
 */
export function openTaskCgroup(container: Container): TaskCgroup {
  const path = ownCgroupPath(cgroup2PathOf(container.pid), container);
  if (isOurName(basename(path))) {
    return new TaskCgroup(cgroupDirectory(path), true, foreignPidNamespace(container.pid)); // from a run before this one
  }
  const others = [cgroup2PathOf(parentOf(container.pid)), cgroup2PathOf(process.pid)];
  if (!others.some((other) => holdsCgroup(path, other))) {
    return new TaskCgroup(cgroupDirectory(path), false, undefined);
  }
  const directory = join(cgroupDirectory(path), nameFor(container));
  try {
    mkdirSync(directory, { recursive: true });
  } catch (cause) {
    throw new SystemError(`make cgroup "${directory}"`, codeOf(cause), { cause });
  }
  const cgroup = new TaskCgroup(directory, true, foreignPidNamespace(container.pid));
  cgroup.adopt(container.pid);
  return cgroup;
}

/**
 * Removes the cgroups that a killed process made for containers which ended since; gives their directories. Those that
 * still have processes stay: `openTaskCgroup` takes them over.
 */
export function removeEmptyTaskCgroups(): string[] {
  const sweep = (directory: string, depth: number): string[] =>
    listDirectories(directory).flatMap((name) => {
      const path = join(directory, name);
      if (!isOurName(name)) return depth < MAX_DEPTH ? sweep(path, depth + 1) : [];
      try {
        rmdirSync(path);
        return [path];
      } catch {
        return []; // EBUSY: it is in use
      }
    });
  return sweep(needCgroup2(), 0);
}

function listDirectories(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return []; // removed while we looked
  }
}

function isOurName(name: string): boolean {
  return name.startsWith(OURS) && /^[0-9a-f]{16}$/u.test(name.slice(OURS.length));
}

/* From the id alone, which a runtime could choose to be "..". */
function nameFor({ runtime, namespace = '', id }: Container): string {
  const hash = createHash('sha256').update(`${runtime}\0${namespace}\0${id}`).digest('hex');
  return `${OURS}${hash.slice(0, HASH_DIGITS)}`;
}

/** Those below `pid`, and those of its pid namespace if that is the container's own: what was started by `exec`. */
function moveTree(pid: number, directory: string, pidNamespace: string | undefined): void {
  const moved = new Set<number>();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const rest = [
      pid,
      ...descendants(pid),
      ...(pidNamespace === undefined ? [] : processesIn(pidNamespace)),
    ].filter((each) => !moved.has(each));
    if (rest.length === 0) return;
    for (const each of rest) {
      move(each, directory);
      moved.add(each);
    }
  }
}

function move(pid: number, directory: string): void {
  try {
    writeFileSync(join(directory, 'cgroup.procs'), String(pid));
  } catch (cause) {
    // It ended, which for a zombie is EINVAL or ESRCH as well.
    if (['ESRCH', 'EINVAL'].includes(codeOf(cause))) return;
    throw new SystemError(`move process ${pid} to cgroup "${directory}"`, codeOf(cause), { cause });
  }
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? `${thrown.code}` : 'EIO';
}
