import { mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { needCgroup2, parseCgroup2Path } from '../../src/libbpf/cgroup2.ts';

/**
 * A cgroup that this process is in until it is closed: the packets of a BPF_PROG_TEST_RUN are those of a socket of the
 * process, so a program that looks for the subject of a packet finds the one of this cgroup.
 */
export class OwnCgroup implements Disposable {
  /** The inode of its directory. */
  readonly id: bigint;
  /** How deep it lies below the root of the tree, which is 0. */
  readonly level: number;
  readonly #directory: string;
  readonly #parent: string;

  constructor(label: string) {
    const path = parseCgroup2Path(readFileSync('/proc/self/cgroup', 'utf8')) ?? '/';
    this.#parent = join(needCgroup2(), path);
    this.#directory = join(this.#parent, `${label}-${process.pid}`);
    this.level = path.split('/').filter((part) => part !== '').length + 1;
    mkdirSync(this.#directory);
    this.id = statSync(this.#directory, { bigint: true }).ino;
    writeFileSync(join(this.#directory, 'cgroup.procs'), `${process.pid}`);
  }

  /** Goes back to where the process was, and removes it. */
  close(): void {
    writeFileSync(join(this.#parent, 'cgroup.procs'), `${process.pid}`);
    rmdirSync(this.#directory);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
