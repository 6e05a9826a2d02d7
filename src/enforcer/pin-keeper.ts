import { closeSync, existsSync, openSync, readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { PIN_ROOT, Pins } from '../datapath/pins.ts';
import { isOfSystem, UnsupportedError } from '../errors.ts';
import { repin } from '../libbpf/pin.ts';
import { provideBpffs } from './bpffs.ts';
import type { Listener } from './options.ts';

const LOOK_MS = 1_000;
const NONE = -1;

/**
 * Keeps what an instance has pinned in force, whatever befalls the bpffs while its process runs. An open directory
 * makes the mount busy, and one that was detached all the same (`umount -l`) lives on with it: what lies there is
 * pinned anew where it belongs, once a bpffs is there. To mount one we may have no right any more.
 */
export class PinKeeper implements Disposable {
  readonly #pins: Pins;
  readonly #remark: Listener['remark'];
  readonly #looking: NodeJS.Timeout;
  #directory = NONE;
  #isComplained = false;

  /** The instance has its pins. */
  constructor(pins: Pins, remark: Listener['remark']) {
    this.#pins = pins;
    this.#remark = remark;
    this.#hold();
    this.#looking = setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** Pins anew what is not where it was. What can't be is said once, and tried again. */
  look(): void {
    if (existsSync(this.#pins.map('control'))) {
      this.#hold();
      return;
    }
    const kept = this.#kept();
    if (!existsSync(kept.map('control'))) return; // taken out by somebody, not unmounted
    try {
      provideBpffs();
      this.#pins.create();
      // As at a start: pins without control are what an interrupted one left.
      const links = readdirSync(`${kept.root}/links`).map((name) => `links/${name}`);
      const maps = readdirSync(`${kept.root}/maps`).filter((name) => name !== 'control');
      for (const path of [...links, ...maps.map((name) => `maps/${name}`), 'maps/control']) {
        repin(`${kept.root}/${path}`, `${this.#pins.root}/${path}`);
      }
      this.#release();
      this.#hold();
      this.#isComplained = false;
      this.#remark('the bpffs was unmounted: what is in force was pinned anew', 'warning');
    } catch (thrown) {
      if (!(isOfSystem(thrown) || thrown instanceof UnsupportedError)) throw thrown;
      if (this.#isComplained) return;
      this.#isComplained = true;
      this.#remark(
        `the bpffs was unmounted, and what is in force ends with this process until "mount -t bpf bpf /sys/fs/bpf": ${thrown.message}`,
        'error',
      );
    }
  }

  /** Where the pins are now. */
  where(): Pins {
    return existsSync(this.#pins.map('control')) ? this.#pins : this.#kept();
  }

  /** Idempotent. */
  close(): void {
    clearInterval(this.#looking);
    this.#release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #kept(): Pins {
    return new Pins(this.#pins.instance, `/proc/self/fd/${this.#directory}/${basename(PIN_ROOT)}`);
  }

  /* Where there is no descriptor left it is tried again. */
  #hold(): void {
    if (this.#directory !== NONE) return;
    try {
      this.#directory = openSync(dirname(PIN_ROOT), 'r');
    } catch (thrown) {
      if (!isOfSystem(thrown)) throw thrown;
    }
  }

  #release(): void {
    if (this.#directory !== NONE) closeSync(this.#directory);
    this.#directory = NONE;
  }
}
