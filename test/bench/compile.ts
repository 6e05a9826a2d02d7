import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { findCheckout } from '../lab/checkout.ts';
import { mustRun } from '../lab/command.ts';

/** Compiles the C sources beside the benchmarks, each once, into a directory that is gone with it. */
export class Compiler implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'l7egg-bench-'));
  readonly #sources = join(findCheckout(), 'test', 'bench');

  /** Path of the BPF object of `source`. */
  object(source: string): string {
    const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
    const flags = ['-g', '-O2', '-target', 'bpf', '-mcpu=v3', '-Wall', '-Werror'];
    return this.#compile(source, [...flags, `-I/usr/include/${arch}-linux-gnu`, '-c'], []);
  }

  /** Path of the program of `source`, linked with `libraries`. */
  program(source: string, ...libraries: readonly string[]): string {
    return this.#compile(source, ['-O2', '-Wall', '-Werror'], libraries);
  }

  /** Idempotent. */
  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #compile(source: string, flags: readonly string[], libraries: readonly string[]): string {
    const output = join(this.#directory, basename(source, '.c'));
    const links = libraries.map((library) => `-l${library}`);
    mustRun(['clang', ...flags, join(this.#sources, source), '-o', output, ...links]);
    return output;
  }
}
