import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { untilSync } from './wait.ts';

const NSSWITCH = 'hosts: files dns\n';
const LIMIT_MS = 5_000;
const READY = '/etc/nsswitch.conf';

/**
 * A mount namespace in which /etc/resolv.conf is the lab's file, and name look-ups go by files and DNS only.
 * One sleeping process holds it for all programs of a lab namespace: entering it costs 1 ms, making it anew 5.
 * What a program mounts in it is seen by the others and ends with it.
 */
export class MountView implements Disposable {
  readonly pid: number;
  /** For `nsenter --mount=`. */
  readonly path: string;
  readonly #holder: ChildProcess;

  /** @param netns path of the network namespace @param resolvConf the file to show in place of /etc/resolv.conf */
  constructor(netns: string, resolvConf: string) {
    const nsswitch = join(dirname(resolvConf), 'nsswitch.conf');
    writeFileSync(nsswitch, NSSWITCH);
    const mounts = `mount --bind "$1" "$(readlink -f /etc/resolv.conf || echo /etc/resolv.conf)" && mount --bind "$2" ${READY} && exec sleep infinity`;
    this.#holder = spawn(
      'setpriv',
      [
        '--pdeathsig',
        'KILL',
        'nsenter',
        `--net=${netns}`,
        'unshare',
        '--mount',
        'sh',
        '-c',
        mounts,
        'sh',
        resolvConf,
        nsswitch,
      ],
      { detached: true, stdio: 'ignore' },
    );
    this.#holder.once('error', () => {}); // told by the absent pid
    this.#holder.unref();
    const pid = this.#holder.pid;
    if (pid === undefined)
      throw new Error(`Cannot hold a mount namespace for "${netns}": setpriv was not found`);
    this.pid = pid;
    this.path = `/proc/${pid}/ns/mnt`;
    try {
      untilSync(() => this.#isReady(), { limitMs: LIMIT_MS, what: `the mount namespace of ${netns}` });
    } catch (cause) {
      this.close();
      throw cause;
    }
  }

  /** Ends the holder; programs that are still in it keep it alive. Idempotent. */
  close(): void {
    this.#holder.kill('SIGKILL');
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #isReady(): boolean {
    if (readlinkSync(this.path) === readlinkSync('/proc/self/ns/mnt')) return false;
    return readFileSync(`/proc/${this.pid}/mountinfo`, 'latin1').includes(` ${READY} `);
  }
}
