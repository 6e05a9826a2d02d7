import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

/** The file that keeps the code of `main`, a bundle, as V8 compiled it. */
export function cachePath(main: string): string {
  return main.replace(/\.cjs$/u, '.cache');
}

/** The bundle compiled, from its cache where that is of this very bundle and this V8. */
export class CompiledMain {
  readonly #path: string;
  readonly #stamp: string;
  readonly #script: Script;
  readonly isFromCache: boolean;

  /** With what its cache file holds, where there is one. Throws Error of `node:fs` for a bundle that can't be read. */
  static open(path: string): CompiledMain {
    return new CompiledMain(path, readCache(path));
  }

  constructor(path: string, cache?: Buffer) {
    const source = readFileSync(path, 'latin1'); // esbuild writes ASCII
    this.#path = path;
    // V8 compares the length of the source only.
    this.#stamp = source.slice(0, source.indexOf('\n') + 1);
    const cachedData = unstamp(cache, this.#stamp);
    this.#script = new Script(`(function (exports, require, module, __filename, __dirname) { ${source}\n})`, {
      filename: path,
      ...(cachedData && { cachedData }),
    });
    this.isFromCache = cachedData !== undefined && this.#script.cachedDataRejected === false;
  }

  /** Runs it as the CommonJS module that it is. */
  run(): void {
    const module = { exports: {} };
    const require = createRequire(this.#path);
    this.#script.runInThisContext()(module.exports, require, module, this.#path, dirname(this.#path));
  }

  /** What the cache file is to hold. */
  toCache(): Buffer {
    const stamp = Buffer.from(this.#stamp, 'latin1');
    return Buffer.concat([stamp, this.#script.createCachedData(), stamp]);
  }
}

/* At both ends: V8 takes a file that ends in zeros, as one may after a power cut, and dies of it. */
function unstamp(cache: Buffer | undefined, stamp: string): Buffer | undefined {
  if (cache === undefined) return undefined;
  const end = cache.length - stamp.length;
  const isWhole = end > stamp.length && cache.toString('latin1', end) === stamp;
  const isOfThis = cache.toString('latin1', 0, stamp.length) === stamp;
  return isWhole && isOfThis ? cache.subarray(stamp.length, end) : undefined;
}

function readCache(path: string): Buffer | undefined {
  try {
    return readFileSync(cachePath(path));
  } catch {
    return undefined; // it makes the start faster, and is not needed
  }
}
