import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SystemError, TakenError, UnsupportedError } from '../errors.ts';

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
  #isEnded = false;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes `l7egg/NAME` below `caller`; an empty one that an earlier run left is replaced.
   * Throws TakenError when something runs in it, UnsupportedError where cgroups can't be made.
   */
  static create(name: string, caller: string = ownDirectory()): OwnCgroup {
    const path = join(caller, PARENT, name);
    for (let made = makeDirectory(path); made !== 'made'; made = makeDirectory(path)) {
      // The end of another run may take the empty parent away again before ours is in it.
      if (made === 'no parent') makeDirectory(join(caller, PARENT));
      else if (!isPopulated(path)) removeTree(path);
      else throw new TakenError(`Cannot use the cgroup "${path}": processes of another run are in it`);
    }
    return new OwnCgroup(path);
  }

  /** What a process writes its id to in order to join. */
  get procsFile(): string {
    return join(this.path, 'cgroup.procs');
  }

  /** Kills what is in it, waits until nothing is, and removes it. Idempotent. Throws SystemError. */
  async end(): Promise<void> {
    if (this.#isEnded) return;
    const started = performance.now();
    killAll(this.path);
    while (isPopulated(this.path)) {
      if (performance.now() - started > END_LIMIT_MS) {
        throw new SystemError(`end what is left in the cgroup "${this.path}"`, 'ETIMEDOUT');
      }
      await pause(POLL_MS);
      killAll(this.path);
    }
    removeTree(this.path);
    this.#isEnded = true;
    try {
      rmdirSync(join(this.path, '..'));
    } catch {
      // EBUSY or ENOTEMPTY: the cgroup of another run is there.
    }
  }
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
  for (const directory of [path, ...directoriesBelow(path)]) {
    for (const pid of readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n').map(Number)) {
      if (pid > 0) killOne(pid);
    }
  }
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
