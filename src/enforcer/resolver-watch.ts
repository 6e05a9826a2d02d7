import type { Resolver } from '../dns/resolver.ts';
import { FileWatch } from './file-watch.ts';
import { findResolvers, HOST_FILES, namesResolver } from './resolvers.ts';

/** Follows the files that say who resolves names on this host. */
export class ResolverWatch implements Disposable {
  readonly #onResolvers: (resolvers: readonly Resolver[]) => void;
  readonly #watch: FileWatch;

  /** @param onResolvers called with those that the files name whenever they may have been written, changed or not */
  constructor(onResolvers: (resolvers: readonly Resolver[]) => void) {
    this.#onResolvers = onResolvers;
    this.#watch = new FileWatch(Object.values(HOST_FILES), () => this.look());
  }

  /** Reads the files now. One that is just being written has no nameserver yet: what was told stays. */
  look(): void {
    if (namesResolver()) this.#onResolvers(findResolvers([]).resolvers);
  }

  /** Idempotent. */
  close(): void {
    this.#watch.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
