import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';

/** For what no directory tells of, such as a cgroup whose parent comes with it. */
const LOOK_MS = 1_000;

/** Tells when a cgroup may have come or gone: the directories around them are watched, and looked at now and then. */
export class CgroupWatch implements Disposable {
  readonly #onChange: () => void;
  readonly #looking: NodeJS.Timeout;
  readonly #watchers = new Map<string, FSWatcher>();

  /** @param onChange called with no delay, for a service may be starting in the cgroup */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#looking = setInterval(onChange, LOOK_MS);
  }

  /** Watches the parents of these directories, which need not be there, and no others. */
  follow(paths: readonly string[]): void {
    const wanted = new Set(paths.map((path) => dirname(path)));
    for (const [directory, watcher] of this.#watchers) {
      if (wanted.has(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of wanted) if (!this.#watchers.has(directory)) this.#watch(directory);
  }

  /** Idempotent. */
  close(): void {
    clearInterval(this.#looking);
    this.follow([]);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #watch(directory: string): void {
    try {
      const watcher = watch(directory, (kind) => {
        if (kind === 'rename') this.#onChange();
      });
      watcher.on('error', () => this.#forget(directory)); // the directory is gone
      this.#watchers.set(directory, watcher);
    } catch {
      // It is not there: the look now and then finds it when it comes.
    }
  }

  #forget(directory: string): void {
    this.#watchers.get(directory)?.close();
    this.#watchers.delete(directory);
  }
}
