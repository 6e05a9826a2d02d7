import {
  existsSync,
  fstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SystemError, TakenError, UnsupportedError } from '../errors.ts';
import type { Fd } from '../libbpf/fd.ts';
import { lockDirectory } from '../libbpf/flock.ts';

/** Below the caller's own cgroup, so that its limits and its accounting go on to hold. */
const PARENT = 'l7egg';
const END_LIMIT_MS = 10_000;
const POLL_MS = 5;

/**
 * The directory of this process's version 2 cgroup.
 * @param membership text of /proc/self/cgroup @param mounts text of /proc/self/mountinfo
 * Throws UnsupportedError.
 */
export function findCgroupDirectory(membership: string, mounts: string): string {
  const path = /^0::(\/.*)$/mu.exec(membership)?.[1];
  const tree = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[fields.indexOf('-') + 1] === 'cgroup2');
  const [, , , root, mountPoint] = tree ?? [];
  if (path === undefined || root === undefined || mountPoint === undefined) {
    throw new UnsupportedError('Cannot find the cgroup of this process: cgroup2 is not mounted');
  }
  const prefix = root === '/' ? '' : root;
  if (path !== root && !path.startsWith(`${prefix}/`)) {
    throw new UnsupportedError(
      `Cannot find the cgroup of this process: "${path}" is outside of what "${mountPoint}" shows, "${root}"`,
    );
  }
  return join(unescapeOctal(mountPoint), path.slice(prefix.length));
}

/** proc(5): blanks and backslashes of paths are octal. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/gu, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** A cgroup made for one command, and everything in it. */
export class OwnCgroup {
  /** Its directory. */
  readonly path: string;
  /** Held while the run lives, so that nobody sweeps the cgroup while it is still empty. */
  readonly #lock: Fd;
  #isEnded = false;

  private constructor(path: string, lock: Fd) {
    this.path = path;
    this.#lock = lock;
  }

  /**
   * Makes `l7egg/NAME` below `caller`; an empty one that an earlier run left is replaced.
   * Throws TakenError when another run has it, UnsupportedError where cgroups can't be made, and inside a run.
   */
  static create(name: string, caller: string = ownDirectory()): OwnCgroup {
    const path = join(caller, PARENT, name);
    refuseInside(caller);
    for (;;) {
      const made = makeDirectory(path);
      if (made === 'no parent') {
        // The end of another run may take the empty parent away again before ours is in it.
        makeDirectory(join(caller, PARENT));
        continue;
      }
      const lock = lockIfThere(path);
      if (lock === 'gone') continue;
      if (lock === 'taken' || isPopulated(path)) {
        if (lock !== 'taken') lock.close();
        throw new TakenError(
          `Cannot use the cgroup "${path}": another run of that name has it: give this one another name with -instance`,
        );
      }
      if (made === 'made') return new OwnCgroup(path, lock);
      removeTree(path); // programs of the earlier run may still be attached to it
      lock.close();
    }
  }

  /** What a process writes its id to in order to join. */
  get procsFile(): string {
    return join(this.path, 'cgroup.procs');
  }

  /**
   * Kills what is in it, waits until nothing is, and removes it. Answers the names of the programs that were killed.
   * Idempotent. Throws SystemError.
   */
  async end(): Promise<readonly string[]> {
    if (this.#isEnded) return [];
    const left = programsIn(this.path);
    await endCgroup(this.path);
    this.#isEnded = true;
    this.#lock.close();
    return left;
  }
}

/** Kills what is in the cgroup of a run, waits until nothing is, and removes it. Throws SystemError. */
export async function endCgroup(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const started = performance.now();
  killAll(path);
  while (isPopulated(path)) {
    if (performance.now() - started > END_LIMIT_MS) {
      throw new SystemError(`end what is left in the cgroup "${path}"`, 'ETIMEDOUT');
    }
    await pause(POLL_MS);
    killAll(path);
  }
  remove(path);
}

/**
 * Removes the cgroup of a run that is no more. Answers whether it is gone: not while something is in it, or its run
 * lives. Throws SystemError.
 */
export function removeAbandoned(path: string): boolean {
  const lock = lockIfThere(path);
  if (lock === 'gone') return true;
  if (lock === 'taken') return false;
  using _held = lock;
  if (isPopulated(path)) return false;
  remove(path);
  return true;
}

/** Cgroups below that of `caller` by the name that runs get by themselves. */
export function runCgroups(caller: string = ownDirectory()): string[] {
  const parent = join(caller, PARENT);
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => /^run-\d+$/u.test(name))
    .map((name) => join(parent, name));
}

function remove(path: string): void {
  removeTree(path);
  try {
    rmdirSync(join(path, '..'));
  } catch {
    // EBUSY or ENOTEMPTY: the cgroup of another run is there.
  }
}

/* A command may not make another one less confined, nor could it: cgroups and bpf are closed to it. */
function refuseInside(caller: string): void {
  const outer = new RegExp(`^(.*/${PARENT}/[^/]+)(/|$)`, 'u').exec(caller)?.[1];
  if (outer === undefined) return;
  throw new UnsupportedError(
    `Cannot run inside of another run, whose cgroup is "${outer}": start the command itself, it is confined already`,
  );
}

/* `gone`: removed before it was locked, or never there. */
function lockIfThere(path: string): Fd | 'taken' | 'gone' {
  let lock: Fd | undefined;
  try {
    lock = lockDirectory(path);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return 'gone';
    throw thrown;
  }
  if (!lock) return 'taken';
  if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(lock.number).ino) return lock;
  lock.close();
  return 'gone';
}

function programsIn(path: string): string[] {
  return pidsIn(path).flatMap((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
    } catch {
      return []; // it has just ended
    }
  });
}

function pidsIn(path: string): number[] {
  return [path, ...directoriesBelow(path)].flatMap((directory) =>
    readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n').map(Number).filter(Boolean),
  );
}

function ownDirectory(): string {
  return findCgroupDirectory(
    readFileSync('/proc/self/cgroup', 'utf8'),
    readFileSync('/proc/self/mountinfo', 'utf8'),
  );
}

function makeDirectory(path: string): 'made' | 'there' | 'no parent' {
  try {
    mkdirSync(path);
    return 'made';
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === 'EEXIST') return 'there';
    if (code === 'ENOENT') return 'no parent';
    if ((code === 'EACCES' || code === 'EPERM') && process.geteuid?.() !== 0) throw thrown; // sudo is what helps
    if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM') {
      throw new UnsupportedError(
        `Cannot make the cgroup "${path}": ${code}. The cgroup tree is not writable here; ` +
          'in a container it has to be mounted read-write, as `docker run --privileged` does',
      );
    }
    throw new SystemError(`make the cgroup "${path}"`, code, { cause: thrown });
  }
}

function codeOf(thrown: unknown): string {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  throw thrown;
}

/* Zombies do not count; those of cgroups below do. */
function isPopulated(path: string): boolean {
  return /^populated 1$/mu.test(readFileSync(join(path, 'cgroup.events'), 'utf8'));
}

function killAll(path: string): void {
  try {
    writeFileSync(join(path, 'cgroup.kill'), '1', { flag: 'r+' });
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw thrown;
    killOneByOne(path); // before Linux 5.14
  }
}

/** Kills every process of the cgroup and of those below; what forks meanwhile is frozen first. */
export function killOneByOne(path: string): void {
  writeFileSync(join(path, 'cgroup.freeze'), '1', { flag: 'r+' });
  for (const pid of pidsIn(path)) killOne(pid);
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH: it has just ended, which is what was asked for.
  }
}

/* Deepest last. */
function directoriesBelow(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(path, entry.name))
    .flatMap((directory) => [directory, ...directoriesBelow(directory)]);
}

function removeTree(path: string): void {
  for (const directory of [path, ...directoriesBelow(path)].reverse()) rmdirSync(directory);
}
