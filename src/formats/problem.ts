import { escapeControl } from '../flow/escape.ts';

/** A place in a policy file; line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Something about a policy file that its owner has to know. `what` says what is there and what is legal. */
export interface Problem {
  readonly place: Place;
  readonly what: string;
}

/** Longer sentences lose their middle, where a text of the file is quoted: their ends say what is legal. */
const MAX_LENGTH = 1_000;
const KEPT_END = 400;

/** `FILE:LINE:COL: what`, one line whatever the file has. */
export function formatProblem({ place: { file, line, column }, what }: Problem): string {
  const short =
    what.length <= MAX_LENGTH
      ? what
      : `${what.slice(0, MAX_LENGTH - KEPT_END)}…${what.slice(what.length - KEPT_END)}`;
  return escapeControl(`${file}:${line}:${column}: ${short}`);
}

/** Errors past this many are counted only. */
const MAX_ERRORS = 100;

/** Collects what is wrong with policy files, all of it, so that one reading tells all. */
export class Problems {
  readonly errors: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #lenient: boolean;
  #uncounted = 0;

  /** @param lenient what is not enforced is a warning, not an error */
  constructor(lenient = false) {
    this.#lenient = lenient;
  }

  /** The file can't be taken. */
  error(place: Place, what: string): void {
    if (this.errors.length < MAX_ERRORS) this.errors.push({ place, what });
    else this.#uncounted += 1;
  }

  /** The file says something that is not enforced: an error, a warning when lenient. */
  unsupported(place: Place, what: string): void {
    if (this.#lenient) this.warnings.push({ place, what: `${what}: left out` });
    else this.error(place, `${what}; -lenient leaves it out`);
  }

  /** Taken, but its owner should know how. */
  warn(place: Place, what: string): void {
    this.warnings.push({ place, what });
  }

  /** How many errors were only counted. */
  get uncounted(): number {
    return this.#uncounted;
  }
}
