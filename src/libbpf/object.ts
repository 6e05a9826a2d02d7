import { constants } from 'node:os';
import { errnoName, failure } from './errno.ts';
import { duplicate } from './fd.ts';
import { BpfMap } from './map.ts';
import { type OpenObject, openObject } from './open-object.ts';
import { BpfProgram } from './program.ts';
import { bpf } from './symbols.ts';
import { VerifierError } from './verifier-error.ts';

const ATTEMPTS = 3;
const { EAGAIN, EPERM } = constants.errno;

/** Owns an object whose maps and programs are in the kernel. What it hands out has its own life. */
export class LoadedObject implements Disposable {
  readonly #opened: OpenObject;

  /** Takes ownership of `opened`, which was loaded. */
  constructor(opened: OpenObject) {
    this.#opened = opened;
  }

  /** A program that was loaded; the caller owns it. Throws Error for an unknown name. */
  program(name: string): BpfProgram {
    return new BpfProgram(duplicate(loadedFd(bpf.programFd(this.#opened.findProgram(name)), name)));
  }

  /** Names of its maps, those that were reused included. */
  maps(): string[] {
    return this.#opened.maps();
  }

  /** A map of the object; the caller owns it. Throws Error for an unknown name. */
  map(name: string): BpfMap {
    return new BpfMap(duplicate(loadedFd(bpf.mapFd(this.#opened.findMap(name)), name)));
  }

  /** Idempotent. */
  close(): void {
    this.#opened.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens the object file at `path`, lets `prepare` set it up, and loads it in a thread: verifying takes tens of ms.
 * `prepare` may run more than once: loading is tried again from the start when a signal broke it off.
 * Throws VerifierError with the end of the log, UnsupportedError without privilege or libbpf, SystemError.
 */
export async function loadObject(
  path: string,
  prepare: (object: OpenObject) => void = () => {},
): Promise<LoadedObject> {
  for (let attempt = 1; ; attempt++) {
    const opened = openObject(path);
    try {
      prepare(opened);
      const answer = await opened.load();
      if (answer >= 0) return new LoadedObject(opened);
      if (answer !== -EAGAIN || attempt === ATTEMPTS) throw loadFailure(-answer, path, opened.verifierLog());
    } catch (thrown) {
      opened.close();
      throw thrown;
    }
    opened.close();
  }
}

function loadFailure(errno: number, path: string, log: string): Error {
  const operation = `load BPF object "${path}"`;
  // The verifier answers EPERM too, with a log.
  if (log === '' || errno === EPERM) return failure(errno, operation);
  return new VerifierError(operation, errnoName(errno), log);
}

function loadedFd(fd: number, name: string): number {
  if (fd < 0) throw new Error(`Cannot use "${name}": it was not loaded`);
  return fd;
}
