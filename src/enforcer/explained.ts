import type { Taught } from './book.ts';

/** Where names of learned addresses were had from: the process, the file that it keeps, or nowhere. */
export type NamesFrom = 'process' | 'file' | 'nowhere';

/** Who knows which names taught an address of 16 bytes; a name stands once for each rule. */
export type NamesOf = (addr16: Uint8Array) => readonly Taught[];

/** What only the process knows. `lostByReaders`: events that readers of its feed were too slow for. */
export interface ToldByProcess {
  readonly events: number;
  readonly readers: number;
  readonly lostByReaders: number;
}

/** What user space knows beside the kernel. */
export interface Explained {
  readonly namesFrom: NamesFrom;
  readonly namesOf: NamesOf;
  /** What the process tells of itself, when it answered. */
  readonly told?: ToldByProcess;
}

/** Nobody was asked. */
export const UNEXPLAINED: Explained = { namesFrom: 'nowhere', namesOf: () => [] };
