import { watch } from 'node:fs';
import type { Resolver } from '../dns/resolver.ts';
import { Scope } from '../scope.ts';
import { findResolvers, namesResolver, resolverPlaces } from './resolvers.ts';

/** How long a file that changes is left alone before it is read. */
const SETTLE_MS = 200;
const LOOK_MS = 15_000;

/**
 * Follows the files that say who resolves names on this host. By directory: an editor or a service may put
 * another file in the place of the one that was there.
 */
export class ResolverWatch implements Disposable {
  readonly #scope = new Scope();
  readonly #onResolvers: (resolvers: readonly Resolver[]) => void;
  #waiting: NodeJS.Timeout | undefined;

  /** @param onResolvers called with those that the files name whenever they were written, changed or not */
  constructor(onResolvers: (resolvers: readonly Resolver[]) => void) {
    this.#onResolvers = onResolvers;
    this.#scope.defer(() => clearTimeout(this.#waiting));
    // A file behind a link whose target comes later, as systemd-resolved's at boot, has no directory to watch yet.
    const looking = setInterval(() => this.look(), LOOK_MS);
    this.#scope.defer(() => clearInterval(looking));
    for (const [directory, names] of resolverPlaces()) {
      const watcher = watch(directory, (_, name) => {
        if (name === null || names.has(name)) this.#lookSoon();
      });
      watcher.on('error', () => watcher.close()); // the directory is gone, and the service with it
      this.#scope.defer(() => watcher.close());
    }
  }

  /** Reads the files now. One that is just being written has no nameserver yet: what was told stays. */
  look(): void {
    if (namesResolver()) this.#onResolvers(findResolvers([]).resolvers);
  }

  /** Idempotent. */
  close(): void {
    this.#scope.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #lookSoon(): void {
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => this.look(), SETTLE_MS);
  }
}
