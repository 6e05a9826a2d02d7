import {
  existsSync,
  fstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { TakenError } from '../errors.ts';
import type { Fd } from '../libbpf/fd.ts';
import { lockFile, lockHolder } from '../libbpf/file-lock.ts';
import { lockDirectory } from '../libbpf/flock.ts';

/** Where all instances keep what is not in the kernel. */
export const RUN_ROOT = '/run/l7egg';

/** A rule as it is in force: its id in the kernel, its canonical text, as its owner wrote it, its share of lease records. */
export interface RecordedRule {
  readonly id: number;
  readonly policyId: number;
  readonly canonical: string;
  readonly source: string;
  /** The policy of a file that it is of; absent: of the flags, and in records of earlier versions. */
  readonly policy?: string;
  readonly share?: { readonly ringBase: number; readonly ringLength: number };
}

/** A subject's policy as it is in force, but for its rules. */
export interface RecordedPolicy {
  readonly policyId: number;
  /** As `subjectText` writes it. */
  readonly subject: string;
  readonly dns: 'open' | 'strict';
  readonly audit: boolean;
  /** What it was made of: `flags`, and names of policies in files. Absent in records of earlier versions. */
  readonly names?: readonly string[];
  /** The files that these stand in; absent where there are none. */
  readonly files?: readonly string[];
  /** Absent in records of earlier versions. */
  readonly allowPrivateAnswers?: boolean;
  /** Sentences on what else was set. */
  readonly settings: readonly string[];
}

/** A cgroup that a policy is in force on. */
export interface RecordedCgroup {
  readonly policyId: number;
  readonly path: string;
  /** Its inode, in decimal. */
  readonly id: string;
  /** Of the network namespace in which answers teach, in decimal. */
  readonly netnsCookie: string;
  readonly netnsInode: number;
  readonly ownsNetns: boolean;
}

/** A class that this instance has on an interface, for a subject. */
export interface RecordedClass {
  /** The network namespace of a container; absent = the instance's own. */
  readonly netns?: { readonly inode: number; readonly cookie: string };
  readonly ifindex: number;
  readonly policyId: number;
  readonly minor: number;
}

/** An interface as it is served. */
export interface RecordedInterface {
  readonly name: string;
  readonly ifindex: number;
  readonly learns: boolean;
  readonly enforces: boolean;
}

/** What an instance writes down before it attaches, so that `status` needs no process. */
export interface InstanceRecord {
  readonly version: 2;
  readonly instance: string;
  /** Of the slot that this describes. */
  readonly epoch: number;
  readonly pid: number;
  readonly startedAt: string;
  readonly netns: { readonly inode: number; readonly cookie: string };
  readonly attach: 'tcx' | 'clsact';
  readonly interfaces: readonly RecordedInterface[];
  readonly policies: readonly RecordedPolicy[];
  /** The first number that no subject has had. */
  readonly nextPolicyId: number;
  readonly cgroups: readonly RecordedCgroup[];
  /** Classes that shape. */
  readonly classes: readonly RecordedClass[];
  readonly rules: readonly RecordedRule[];
  readonly resolvers: readonly string[];
  /** Directory of the cgroup that was made for one command, and goes with the instance. */
  readonly ownCgroup?: string;
}

/** How a reload ended. */
export interface ReloadRecord {
  /** When it began, by `nowUs`: an answer to whoever had asked by then. */
  readonly begunUs: number;
  readonly pid: number;
  readonly ok: boolean;
  /** What changed, or what is wrong. */
  readonly lines: readonly string[];
}

/** The files of one instance below /run/l7egg. */
export class RunDir {
  readonly path: string;
  #prepared: InstanceRecord | undefined;
  #committed: InstanceRecord | undefined;

  constructor(instance: string, root: string = RUN_ROOT) {
    this.path = `${root}/${instance}`;
  }

  /** Makes the directory and takes the lock of the running process; undefined when another process has it. */
  lock(): Fd | undefined {
    for (;;) {
      mkdirSync(this.path, { recursive: true, mode: 0o755 });
      try {
        return lockFile(`${this.path}/lock`);
      } catch (thrown) {
        // ENOENT: whoever had the lock has removed the directory again.
        if (!hasCode(thrown, 'ENOENT')) throw thrown;
      }
    }
  }

  /** The process that holds the lock; undefined when none does, 0 when it is of another PID namespace. */
  runningPid(): number | undefined {
    return lockHolder(`${this.path}/lock`);
  }

  writePid(): void {
    this.#replace('pid', `${process.pid}\n`);
  }

  /**
   * What is in force. `epoch`, when given, is that of the kernel's active slot: of the record before and
   * after a swap the one that describes it is answered, whenever the process died. Undefined when there is none.
   */
  readRecord(epoch?: number): InstanceRecord | undefined {
    const next = this.#parseRecord('next.json');
    if (epoch !== undefined && next?.epoch === epoch) return next;
    return this.#parseRecord('state.json');
  }

  /** Whether there is a record at all, be it one that can't be read. */
  get hasRecord(): boolean {
    return existsSync(`${this.path}/state.json`);
  }

  /** Writes down what is about to be in force. */
  prepareRecord(record: InstanceRecord): void {
    this.#replace('next.json', `${JSON.stringify(record)}\n`);
    this.#prepared = record;
  }

  /** As `readRecord`, of who wrote it: a record of many rules takes long to read. */
  currentRecord(epoch: number): InstanceRecord | undefined {
    return this.#committed?.epoch === epoch ? this.#committed : this.readRecord(epoch);
  }

  /** As `readRecord`; when it is one that was prepared and never committed, it is now. */
  settleRecord(epoch: number): InstanceRecord | undefined {
    const record = this.readRecord(epoch);
    if (record?.epoch !== epoch) return undefined; // of another policy: its ids and shares say nothing
    if (this.#parseRecord('next.json')?.epoch === epoch) this.commitRecord();
    return record;
  }

  /** What was prepared is in force now. */
  commitRecord(): void {
    renameSync(`${this.path}/next.json`, `${this.path}/state.json`);
    this.#committed = this.#prepared;
  }

  /** How the last reload ended; undefined when there was none. */
  readReload(): ReloadRecord | undefined {
    const path = `${this.path}/reload.json`;
    if (!existsSync(path)) return undefined;
    const record: unknown = JSON.parse(readFileSync(path, 'utf8')); // renamed into place, so whole
    return isReload(record) ? record : undefined;
  }

  /** Writes down how a reload ended, for who asked for it. */
  writeReload(record: ReloadRecord): void {
    this.#replace('reload.json', `${JSON.stringify(record)}\n`);
  }

  /** Notes that we made the clsact qdisc of an interface, so that it is ours to remove. */
  markClsact(ifindex: number): void {
    writeFileSync(`${this.path}/clsact.${ifindex}`, '');
  }

  /** Takes the note back. */
  unmarkClsact(ifindex: number): void {
    rmSync(`${this.path}/clsact.${ifindex}`, { force: true });
  }

  /** The interfaces whose clsact qdisc we made. */
  clsactMade(): number[] {
    if (!existsSync(this.path)) return [];
    return readdirSync(this.path).flatMap(
      (name) => Number(/^clsact\.(\d+)$/u.exec(name)?.[1] ?? Number.NaN) || [],
    );
  }

  /** Removes all but the lock, which its holder keeps. Idempotent. */
  removeFiles(): void {
    rmSync(`${this.path}/state.json`, { force: true });
    rmSync(`${this.path}/next.json`, { force: true });
    rmSync(`${this.path}/reload.json`, { force: true });
    rmSync(`${this.path}/pid`, { force: true });
    for (const end of ['', '.new', '.next']) rmSync(`${this.namesPath}${end}`, { force: true });
    for (const ifindex of this.clsactMade()) rmSync(`${this.path}/clsact.${ifindex}`, { force: true });
  }

  /** Where the process keeps the names of leased addresses for the next one. */
  get namesPath(): string {
    return `${this.path}/names`;
  }

  /** Removes the directory, and that of all instances when this was the last. Idempotent. */
  remove(): void {
    // Retries: a file of ours may just be written by a thread.
    rmSync(this.path, { recursive: true, force: true, maxRetries: 3 });
    removeIfEmpty(dirname(this.path));
  }

  #parseRecord(name: string): InstanceRecord | undefined {
    if (!existsSync(`${this.path}/${name}`)) return undefined;
    try {
      const record: unknown = JSON.parse(readFileSync(`${this.path}/${name}`, 'utf8'));
      return isRecord(record) ? record : undefined;
    } catch {
      return undefined; // half a file can't be: it is renamed into place; a foreign one counts as none
    }
  }

  #replace(name: string, text: string): void {
    writeFileSync(`${this.path}/${name}.new`, text, { mode: 0o644 });
    renameSync(`${this.path}/${name}.new`, `${this.path}/${name}`);
  }
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (thrown) {
    // Other instances are there; it is gone already; it is a mount (systemd's RuntimeDirectory) and not ours.
    if (!['ENOTEMPTY', 'ENOENT', 'EBUSY', 'EROFS'].some((code) => hasCode(thrown, code))) throw thrown;
  }
}

function hasCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}

function isRecord(value: unknown): value is InstanceRecord {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === 2;
}

function isReload(value: unknown): value is ReloadRecord {
  return typeof value === 'object' && value !== null && 'begunUs' in value && 'lines' in value;
}

const START_LIMIT_MS = 20_000;
const LOOK_MS = 10;

/**
 * Lets one start of any instance go on at a time, so that two can't both find an interface free.
 * Throws TakenError when another start does not end.
 */
export async function lockStart(root: string = RUN_ROOT): Promise<Fd> {
  const until = performance.now() + START_LIMIT_MS;
  while (performance.now() < until) {
    mkdirSync(root, { recursive: true, mode: 0o755 });
    const lock = lockDirectory(root);
    // Another may have removed the directory between our opening and locking it: then we hold nothing.
    if (lock && isSameFile(lock, root)) return lock;
    lock?.close();
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new TakenError(
    `another l7egg has been starting for ${START_LIMIT_MS / 1000} s: wait for it, or end it`,
  );
}

function isSameFile(fd: Fd, path: string): boolean {
  return existsSync(path) && fstatSync(fd.number).ino === statSync(path).ino;
}
