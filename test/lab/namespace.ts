import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountBpffs } from '../../src/libbpf/mount.ts';
import { Scope } from '../../src/scope.ts';
import {
  type Argv,
  cleanEnvironment,
  mustRun,
  type RunOptions,
  type RunResult,
  runCommand,
  runCommandAsync,
} from './command.ts';
import { MountView } from './mount-view.ts';
import { Process } from './process.ts';
import { sweepDeadLabs } from './sweep.ts';

/** Transport and family as /proc/net names them; `tcp6` and `udp6` also hold sockets that serve both families. */
export type ListenTable = 'tcp' | 'tcp6' | 'udp' | 'udp6';

let created = 0;

/**
 * A network namespace with a scratch directory and a resolv.conf of its own, owned by the lab.
 * Everything in it is started through nsenter, so bpffs stays visible (`ip netns exec` hides it).
 * Closing it ends what was started in it, newest first, and deletes it.
 */
export class Namespace implements Disposable {
  readonly name: string;
  readonly label: string;
  /** Path for `nsenter --net=` and for the `-netns` flag. */
  readonly path: string;
  /** For configuration files of servers; removed at close. */
  readonly directory: string;
  readonly #scope = new Scope();
  readonly #closing = new AbortController();
  readonly #resolvConf: string;
  #view: MountView | undefined;

  /** @param name a name that `ip netns` does not know yet */
  constructor(name: string, label: string) {
    this.name = name;
    this.label = label;
    this.path = `/run/netns/${name}`;
    this.directory = mkdtempSync(join(tmpdir(), `${name}-`));
    this.#scope.defer(() => rmSync(this.directory, { recursive: true, force: true }));
    this.#resolvConf = join(this.directory, 'resolv.conf');
    writeFileSync(this.#resolvConf, '');
    try {
      mustRun(['ip', 'netns', 'add', name]);
      this.#scope.defer(() => mustRun(['ip', 'netns', 'del', name]));
      mustRun(['ip', '-n', name, 'link', 'set', 'lo', 'up']);
    } catch (cause) {
      this.#scope.close();
      throw cause;
    }
    this.#scope.defer(() => this.#closing.abort());
  }

  /**
   * Makes `text` the resolv.conf that programs in this namespace read.
   * Written in place: programs that run already see the change too.
   */
  useResolvConf(text: string): void {
    writeFileSync(this.#resolvConf, text);
  }

  /** Runs a command to its end and holds up this process meanwhile; throws only when it can't be started. */
  run(command: string, args: readonly string[], options: RunOptions = {}): RunResult {
    return runCommand(this.argv(command, args), options);
  }

  /** As `run`, but this process goes on, so that the output of others is read and commands can overlap. */
  runAsync(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return runCommandAsync(this.argv(command, args), options, this.#closing.signal);
  }

  /** As `run`; returns stdout, throws with what the command wrote when its exit code is not 0. */
  must(command: string, args: readonly string[], options: RunOptions = {}): string {
    return mustRun(this.argv(command, args), options);
  }

  /** Starts a long-lived program; its pid is the program's own. It is ended when the namespace is closed. */
  spawn(command: string, args: readonly string[], options: Pick<RunOptions, 'env'> = {}): Process {
    const argv = this.argv(command, args);
    return this.#scope.use(new Process(argv, cleanEnvironment(options.env), `${command} in ${this.label}`));
  }

  /** Takes ownership: closed with the namespace, before what was started earlier. */
  use<T extends Disposable>(owned: T): T {
    return this.#scope.use(owned);
  }

  /** True when a socket of this namespace listens on (TCP) or is bound to (UDP) `port`. */
  listens(table: ListenTable, port: number): boolean {
    const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    const wanted = table.startsWith('tcp') ? '0A' : '07';
    return readFileSync(`/proc/${this.#mountView().pid}/net/${table}`, 'latin1')
      .split('\n')
      .some((row) => {
        const [, address, , state] = row.trim().split(/\s+/);
        return state === wanted && address?.endsWith(local);
      });
  }

  /** The words that run `command` here, with this namespace's resolv.conf; they exec, so the pid stays. */
  argv(command: string, args: readonly string[]): Argv {
    const mounts = this.#mountView().path;
    return [
      'nsenter',
      `--net=${this.path}`,
      `--mount=${mounts}`,
      `--wdns=${process.cwd()}`,
      '--',
      command,
      ...args,
    ];
  }

  /** Ends everything and deletes the namespace. Idempotent. */
  close(): void {
    this.#scope.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #mountView(): MountView {
    this.#view ??= this.#scope.use(new MountView(this.path, this.#resolvConf));
    return this.#view;
  }
}

/** Makes a namespace named after this process, a counter and `label`, with lo up. */
export function createNamespace(label: string): Namespace {
  if (created === 0) {
    sweepDeadLabs();
    // As a host has it: mounted in the lab's own view it would end with the lab.
    mountBpffs('/sys/fs/bpf');
  }
  created += 1;
  return new Namespace(`l7t-${process.pid}-${created}-${label}`, label);
}
