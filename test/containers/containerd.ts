import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Scope } from '../../src/scope.ts';
import { type Argv, cleanEnvironment, mustRun, runCommand } from '../lab/command.ts';
import { Process } from '../lab/process.ts';
import { until, untilSync } from '../lab/wait.ts';
import { IMAGE, makeImage } from './image.ts';

const READY_LIMIT_MS = 20_000;
/* As packages configure them they look for devices, and for file systems that are not here. */
const DISABLED = [
  'io.containerd.grpc.v1.cri',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.internal.v1.opt',
];
const run = promisify(execFile);
let made = 0;

/** One container that was asked for: `id` in `namespace`. */
export interface Wanted {
  readonly namespace: string;
  readonly id: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** What runs in it, in place of a long sleep. */
  readonly command?: readonly string[];
  readonly options?: readonly string[];
}

/**
 * The real containerd with a root, state and socket of its own in a scratch directory, and an image of busybox.
 * Closing it ends its containers and itself, and removes the directory.
 */
export class Containerd implements Disposable {
  readonly directory: string;
  readonly socket: string;
  readonly #wrap: Argv | readonly [];
  readonly #scope = new Scope();
  readonly #namespaces = new Set<string>();
  #daemon: Process | undefined;

  /** @param wrap the words before `containerd` that it is started with */
  constructor(wrap: Argv | readonly [] = []) {
    this.#wrap = wrap;
    this.directory = mkdtempSync(join(tmpdir(), `l7egg-containerd-${process.pid}-`));
    this.#scope.defer(() => rmSync(this.directory, { recursive: true, force: true }));
    this.socket = join(this.directory, 'containerd.sock');
    writeFileSync(
      join(this.directory, 'config.toml'),
      [
        'version = 2',
        `root = "${this.directory}/root"`,
        `state = "${this.directory}/state"`,
        `disabled_plugins = [${DISABLED.map((plugin) => `"${plugin}"`).join(', ')}]`,
        '[grpc]',
        `address = "${this.socket}"`,
        '[ttrpc]',
        `address = "${this.socket}.ttrpc"`,
      ].join('\n'),
    );
    made += 1;
  }

  /** A name for a containerd namespace, which is also that of a cgroup, that no other test uses. */
  namespace(label: string): string {
    const name = `l7t-${process.pid}-${made}-${label}`;
    this.#namespaces.add(name);
    return name;
  }

  /** Starts the daemon and waits until it answers. */
  async start(): Promise<void> {
    const argv = [...this.#wrap, 'containerd', '-c', join(this.directory, 'config.toml')];
    const daemon = new Process(argv, cleanEnvironment(), 'containerd');
    this.#daemon = daemon;
    await until(
      () => {
        if (daemon.exit) throw new Error(`Cannot start containerd: it ended\n${daemon.tail()}`);
        return existsSync(this.socket) && this.#ctr(['version']).code === 0;
      },
      { limitMs: READY_LIMIT_MS, what: 'containerd' },
    );
  }

  /** Ends the daemon; its containers go on. */
  async stop(): Promise<void> {
    await this.#daemon?.stop();
  }

  /** Makes the image known in a namespace, so that containers can be run from it. */
  importImage(namespace: string): void {
    const tar = join(this.directory, 'image.tar');
    if (!existsSync(tar)) makeImage(this.directory);
    this.ctr(['-n', namespace, 'images', 'import', '--snapshotter', 'native', tar]);
  }

  /** Starts a container and resolves when it runs. */
  async run(wanted: Wanted): Promise<void> {
    const { namespace, id, labels = {}, command = [], options = [] } = wanted;
    const labelWords = Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
    // Both have a default in /run/containerd, where they would stay.
    const own = ['--runc-root', `${this.directory}/runc`, '--fifo-dir', this.#fifos()];
    const words = [
      'run',
      '--detach',
      '--null-io',
      '--snapshotter',
      'native',
      ...own,
      ...labelWords,
      ...options,
    ];
    await run('ctr', ['-a', this.socket, '-n', namespace, ...words, IMAGE, id, ...command]);
  }

  /** Starts another process in a container that runs; `execId` is for `ctr tasks kill`. */
  exec(namespace: string, id: string, execId: string, command: readonly string[]): void {
    const words = ['exec', '--detach', '--fifo-dir', this.#fifos(), '--exec-id', execId, id, ...command];
    this.ctr(['-n', namespace, 'tasks', ...words]);
  }

  /** Runs ctr(8), which has to succeed; gives its output. */
  ctr(args: readonly string[]): string {
    return mustRun(['ctr', '-a', this.socket, ...args]);
  }

  /** Kills the container's process, and forgets it. */
  end(namespace: string, id: string): void {
    this.ctr(['-n', namespace, 'tasks', 'rm', '-f', id]);
    this.ctr(['-n', namespace, 'containers', 'rm', id]);
  }

  /** A stand-in for runc, for `--runc-binary`, which holds up `runc start` until the file `gate` is there. */
  heldRunc(gate: string): string {
    const path = `${gate}-runc`;
    const wait = `until [ -e ${gate} ]; do sleep 0.01; done`;
    writeFileSync(path, `#!/bin/sh\ncase " $* " in *" start "*) ${wait};; esac\nexec runc "$@"\n`, {
      mode: 0o755,
    });
    return path;
  }

  /** Ends and forgets all containers. */
  endAll(): void {
    for (const namespace of this.#namespaces) {
      for (const id of this.ctr(['-n', namespace, 'containers', 'ls', '-q']).split('\n').filter(Boolean)) {
        this.#ctr(['-n', namespace, 'tasks', 'rm', '-f', id]); // there may be none
        this.#ctr(['-n', namespace, 'containers', 'rm', id]);
      }
    }
  }

  /** Idempotent. */
  close(): void {
    this.#daemon?.close();
    endLeft(this.directory, [...this.#namespaces]);
    this.#scope.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #fifos(): string {
    const path = join(this.directory, 'fifo');
    mkdirSync(path, { recursive: true });
    return path;
  }

  #ctr(args: readonly string[]) {
    return runCommand(['ctr', '-a', this.socket, '--connect-timeout', '2s', ...args]);
  }
}

/* What a test that failed left: shims, the processes and cgroups of containers, and the mounts of their roots. */
function endLeft(directory: string, namespaces: readonly string[]): void {
  const cgroups = cgroupMounts()
    .flatMap((mount) => namespaces.map((name) => join(mount, name)))
    .filter((path) => existsSync(path));
  for (const pid of shimsOf(directory)) kill(pid);
  for (const path of cgroups.flatMap(withChildren)) {
    untilSync(() => pidsIn(path).map(kill).length === 0, {
      limitMs: 5_000,
      what: `the end of all in ${path}`,
    });
  }
  for (const path of cgroups.flatMap(withChildren).reverse()) rmdirSync(path);
  for (const [, path = ''] of mounts()) {
    if (path.startsWith(`${directory}/`)) mustRun(['umount', '--lazy', path]);
  }
}

function shimsOf(directory: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      const words = Number.isInteger(pid) ? read(`/proc/${pid}/cmdline`).split('\0') : [];
      return (
        words[0]?.endsWith('containerd-shim-runc-v2') && words.some((word) => word.startsWith(directory))
      );
    });
}

/* runc makes /NAMESPACE/ID in every hierarchy, and removes ID. */
function cgroupMounts(): string[] {
  return mounts().flatMap(([, path = '', fsType = '']) => (fsType.startsWith('cgroup') ? [path] : []));
}

function withChildren(path: string): string[] {
  const names = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [path, ...names.map(({ name }) => join(path, name))];
}

function mounts(): string[][] {
  return read('/proc/self/mounts')
    .split('\n')
    .map((line) => line.split(' '));
}

function pidsIn(cgroup: string): number[] {
  return read(join(cgroup, 'cgroup.procs')).split('\n').filter(Boolean).map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH: it has ended
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it is gone
  }
}
