import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { needCgroup2 } from '../../src/libbpf/cgroup2.ts';
import type { RunOptions, RunResult } from './command.ts';
import type { Namespace } from './namespace.ts';
import type { Process } from './process.ts';
import { untilSync } from './wait.ts';

/** `sh -c` of this with a directory and a command: joins the cgroup, then becomes the command; its pid stays. */
const JOIN = 'echo 0 >"$0/cgroup.procs" && exec "$@"';
const END_LIMIT_MS = 5_000;

let created = 0;

/** Where cgroup2 is mounted; throws where it is not. */
export function cgroupRoot(): string {
  return needCgroup2();
}

/**
 * A cgroup whose programs run in a lab namespace, with that one's resolv.conf. Closing it kills what is in it, and in
 * those below it, and removes it.
 */
export class Cgroup implements Disposable {
  /** Its directory. */
  readonly directory: string;
  /** As the flags of the command under test name it. */
  readonly path: string;
  readonly namespace: Namespace;

  /** @param path below the mount; what leads there is made as well, and removed when it is empty at the end */
  constructor(namespace: Namespace, path: string) {
    this.namespace = namespace;
    this.path = path;
    this.directory = join(cgroupRoot(), path);
    mkdirSync(this.directory, { recursive: true });
  }

  /** What the kernel and the events call it. */
  get id(): bigint {
    return statSync(this.directory, { bigint: true }).ino;
  }

  /** A cgroup below this one, that closing this one removes. */
  below(name: string): Cgroup {
    return new Cgroup(this.namespace, `${this.path}/${name}`);
  }

  /** The same cgroup, its programs in another network namespace. */
  in(namespace: Namespace): Cgroup {
    return new Cgroup(namespace, this.path);
  }

  /** Moves a process in. */
  take(pid: number): void {
    writeFileSync(join(this.directory, 'cgroup.procs'), `${pid}`);
  }

  /** As the namespace's `run`. */
  run(command: string, args: readonly string[], options: RunOptions = {}): RunResult {
    return this.namespace.run('sh', this.#words(command, args), options);
  }

  /** As the namespace's `runAsync`. */
  runAsync(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return this.namespace.runAsync('sh', this.#words(command, args), options);
  }

  /** As the namespace's `spawn`, which ends it. */
  spawn(command: string, args: readonly string[]): Process {
    return this.namespace.spawn('sh', this.#words(command, args));
  }

  /** Kills all in it and removes it. Idempotent. */
  close(): void {
    if (!existsSync(this.directory)) return;
    writeFileSync(join(this.directory, 'cgroup.kill'), '1');
    untilSync(() => /^populated 0$/mu.test(readFileSync(join(this.directory, 'cgroup.events'), 'utf8')), {
      limitMs: END_LIMIT_MS,
      what: `the end of what runs in "${this.directory}"`,
    });
    removeTree(this.directory);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #words(command: string, args: readonly string[]): readonly string[] {
    return ['-c', JOIN, this.directory, command, ...args];
  }
}

/** Makes a cgroup directly below the root, named after this process, a counter and `label`. The caller closes it. */
export function createCgroup(namespace: Namespace, label: string): Cgroup {
  created += 1;
  return new Cgroup(namespace, `/l7t-${process.pid}-${created}-${label}`);
}

function removeTree(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(directory, entry.name));
  }
  rmdirSync(directory);
}
