import { type FSWatcher, lstatSync, readlinkSync, watch } from 'node:fs';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

/** How long a file that changes is left alone before it is read. */
const SETTLE_MS = 200;
/** For what no directory tells of, such as a file that is a mount. */
const LOOK_MS = 15_000;
const MAX_LINKS = 40;
const MAX_TRIES = 3;

/**
 * Follows files by the directories that lead to them: an editor may put another file in the place of the one that
 * was there, and a link on the way may be turned, as a ConfigMap's is.
 */
export class FileWatch implements Disposable {
  readonly #paths: readonly string[];
  readonly #onChange: () => void;
  readonly #looking: NodeJS.Timeout;
  #watchers: FSWatcher[] = [];
  #waiting: NodeJS.Timeout | undefined;

  /** @param onChange called a moment after something happened to them, and now and then: compare what they hold */
  constructor(paths: readonly string[], onChange: () => void) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    this.#watch();
  }

  /** Idempotent. */
  close(): void {
    clearInterval(this.#looking);
    clearTimeout(this.#waiting);
    this.#unwatch();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /* A link that is turned between our following it and our watching it tells nobody: it is followed again. */
  #watch(): void {
    let places = placesOf(this.#paths);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      this.#watchPlaces(places);
      const now = placesOf(this.#paths);
      if (isDeepStrictEqual(now, places)) return;
      this.#unwatch();
      places = now;
    }
    this.#watchPlaces(places);
  }

  #watchPlaces(places: ReadonlyMap<string, ReadonlySet<string>>): void {
    for (const [directory, names] of places) {
      try {
        const watcher = watch(directory, (_, name) => {
          if (name === null || names.has(name)) this.#lookSoon();
        });
        watcher.on('error', () => watcher.close()); // the directory is gone; the look now and then goes on
        this.#watchers.push(watcher);
      } catch {
        // The directory is not there yet, or went just now: the look now and then finds it.
      }
    }
  }

  #unwatch(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers = [];
  }

  #lookSoon(): void {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => this.#look(), SETTLE_MS);
  }

  /* Links may lead elsewhere now. */
  #look(): void {
    this.#unwatch();
    this.#watch();
    this.#onChange();
  }
}

/** The directories on the way to these files, with the names in them that matter; links are followed. */
export function placesOf(paths: readonly string[]): Map<string, Set<string>> {
  const places = new Map<string, Set<string>>();
  for (const path of paths) follow(resolve(path), places, MAX_LINKS);
  return places;
}

function follow(path: string, places: Map<string, Set<string>>, links: number): void {
  let at = '/';
  const names = path.split('/').filter(Boolean);
  for (const [index, name] of names.entries()) {
    const here = at === '/' ? `/${name}` : `${at}/${name}`;
    const target = linkAt(here);
    const isLast = index === names.length - 1;
    // Directories that are no links are not waited for: what is above the last one seldom changes.
    if (isLast || target !== undefined) add(places, here);
    if (target !== undefined && links > 0) {
      const turned = isAbsolute(target) ? target : resolve(at, target);
      follow([turned, ...names.slice(index + 1)].join('/'), places, links - 1);
      return;
    }
    at = here;
  }
}

function add(places: Map<string, Set<string>>, path: string): void {
  const names = places.get(dirname(path)) ?? new Set();
  places.set(dirname(path), names.add(basename(path)));
}

function linkAt(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined; // not there yet
  }
}
