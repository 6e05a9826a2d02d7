import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A path for a unix socket, in a directory of its own that is removed when this is closed. */
export class ScratchSocket implements Disposable {
  readonly path: string;
  readonly #directory: string;

  constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), `l7egg-socket-${process.pid}-`));
    this.path = join(this.#directory, 'daemon.sock');
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
