import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';

/** For what no directory tells of, and directories that come back. */
const LOOK_MS = 1_000;

/**
 * Follows directories of the cgroup tree by those that they lie in: one that is removed and made again, as systemd does
 * when it restarts a unit, is another cgroup to the kernel.
 */
export class CgroupWatch implements Disposable {
  readonly #parents: ReadonlySet<string>;
  readonly #onChange: () => void;
  readonly #looking: NodeJS.Timeout;
  readonly #watchers = new Map<string, FSWatcher>();

  /** @param onChange called at once when something came or went beside them, and now and then: compare their inodes */
  constructor(paths: readonly string[], onChange: () => void) {
    this.#parents = new Set(paths.map((path) => dirname(path)));
    this.#onChange = onChange;
    this.#watch();
    this.#looking = setInterval(() => {
      this.#watch();
      onChange();
    }, LOOK_MS);
  }

  /** Idempotent. */
  close(): void {
    clearInterval(this.#looking);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #watch(): void {
    for (const parent of this.#parents) {
      if (this.#watchers.has(parent)) continue;
      try {
        const watcher = watch(parent, (kind) => {
          if (kind === 'rename') this.#onChange();
        });
        const forget = () => {
          watcher.close();
          if (this.#watchers.get(parent) === watcher) this.#watchers.delete(parent);
        };
        watcher.on('error', forget);
        this.#watchers.set(parent, watcher);
      } catch {
        // It is not there, or watches are used up: the look now and then goes on.
      }
    }
  }
}
