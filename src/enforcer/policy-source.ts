import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { messageLines, NothingAppliesError, PolicyFileError, UsageError } from '../errors.ts';
import { escapeControl } from '../flow/escape.ts';
import { type Combined, type CommandLinePolicy, combinePolicies } from '../formats/combine.ts';
import type { FormatContext, PolicyPart } from '../formats/part.ts';
import type { Progress } from '../formats/read-documents.ts';
import type { PolicyText } from '../formats/read-policies.ts';
import { findPreset } from './presets.ts';

/** Larger files are refused. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const CHUNK_BYTES = 1 << 20;
/** Remarks past this many are counted only: a generated file may have one for each line. */
const MAX_REMARKS = 100;

/** Where a policy comes from: flags and files, both read again at each reload. */
export interface PolicySource {
  readonly line: CommandLinePolicy;
  /** Paths; `-` is standard input, which is read once. */
  readonly files: readonly string[];
  /** Names of policy files that come with the package, for whom the flags are. */
  readonly presets: readonly string[];
  readonly lenient: boolean;
  readonly context: FormatContext;
  /** -mode was given, whatever files say. */
  readonly isModeGiven: boolean;
}

/** What a source says now, with what files add to the command line. */
export interface LoadedPolicies extends Combined {
  /** Interfaces that files name. */
  readonly efaces: readonly string[];
  readonly ifaces: readonly string[];
}

/** Reads standard input and pipes once: a reload finds the same there. */
export class PolicyReader {
  readonly #source: PolicySource;
  readonly #readOnce = new Map<string, string>();
  #last: { readonly texts: readonly PolicyText[]; readonly loaded: LoadedPolicies } | undefined;

  constructor(source: PolicySource) {
    this.#source = source;
  }

  get source(): PolicySource {
    return this.#source;
  }

  /**
   * Reads and combines all there is. Throws UsageError with all errors, a line each, also when nothing would be
   * enforced.
   */
  async load(progress?: Progress): Promise<LoadedPolicies> {
    const { line, files, presets, lenient, context, isModeGiven } = this.#source;
    if (files.length === 0 && presets.length === 0)
      return { ...combinePolicies(line, []), efaces: [], ifaces: [] };
    const { texts, unread } = this.#readAll([...presets.map(findPreset), ...files]);
    if (unread.length === 0 && this.#last && isSameText(this.#last.texts, texts)) return this.#last.loaded;
    const { readPolicies } = await import('../formats/read-policies.ts');
    const reading = readPolicies(texts, { ...context, lenient }, progress);
    const read = await (unread.length > 0 ? refuseUnread(unread, reading) : reading);
    const { remarks } = read;
    const parts = read.parts.map((part, index) => ({ ...part, ...fileOf(read.files[index]) }));
    if (parts.every(({ isLeftOut }) => isLeftOut) && line.rules.length === 0) {
      throw new NothingAppliesError(
        `no policy of ${files.join(', ')} applies, so nothing would be enforced`,
        firstOf(remarks),
      );
    }
    if (!isModeGiven) refuseOtherMode(line, parts);
    const combined = combinePolicies(line, parts);
    const loaded = {
      ...combined,
      efaces: [...new Set(parts.flatMap(({ eface }) => eface ?? []))],
      ifaces: [...new Set(parts.flatMap(({ iface }) => iface ?? []))],
      remarks: firstOf([...remarks, ...combined.remarks]).map(escapeControl),
    };
    this.#last = { texts, loaded };
    return loaded;
  }

  #readAll(files: readonly string[]): { texts: PolicyText[]; unread: UsageError[] } {
    const unread: UsageError[] = [];
    const texts = files.flatMap((file) => {
      try {
        return [{ file, text: this.#read(file) }];
      } catch (thrown) {
        if (!(thrown instanceof UsageError)) throw thrown;
        unread.push(thrown);
        return [];
      }
    });
    return { texts, unread };
  }

  #read(file: string): string {
    const kept = this.#readOnce.get(file);
    if (kept !== undefined) return kept;
    const isFirst = this.#last === undefined;
    if (file === '-') return this.#keep(file, decode(file, readBounded(0, 'standard input')));
    const { text, isPipe } = readPolicyFile(file, isFirst);
    return isPipe ? this.#keep(file, text) : text;
  }

  #keep(file: string, text: string): string {
    this.#readOnce.set(file, text);
    return text;
  }
}

/* Throws what is wrong with all files, those that can't be read first. */
async function refuseUnread(unread: readonly UsageError[], reading: Promise<unknown>): Promise<never> {
  const all: UsageError[] = [...unread];
  try {
    await reading;
  } catch (thrown) {
    if (!(thrown instanceof UsageError)) throw thrown;
    all.push(thrown);
  }
  const [only] = all;
  if (only && all.length === 1) throw only;
  throw new PolicyFileError(all.flatMap(messageLines));
}

function fileOf(file: string | undefined): { file?: string } {
  return file === undefined ? {} : { file };
}

function firstOf(remarks: readonly string[]): string[] {
  const more = remarks.length - MAX_REMARKS;
  return [...remarks.slice(0, MAX_REMARKS), ...(more > 0 ? [`and ${more} remarks more`] : [])];
}

function isSameText(before: readonly PolicyText[], now: readonly PolicyText[]): boolean {
  return before.length === now.length && now.every(({ text }, index) => text === before[index]?.text);
}

/* A file that asks for cgroups says nothing of which. */
function refuseOtherMode(line: CommandLinePolicy, parts: readonly PolicyPart[]): void {
  const asks = parts.find(({ mode, subject }) => mode === 'cgroup' && subject === undefined);
  if (!asks || !line.subjects.some(({ kind }) => kind === 'host')) return;
  throw new UsageError(
    `policy "${asks.name}" is for cgroups: say which with -mode=cgroup -cgroup=…, or with -mode=tc take it for the interfaces`,
  );
}

/**
 * The text of a policy file; a pipe, as of `<(command)`, is one where `mayBePipe`, and is waited for. Throws UsageError
 * when it can't be read, is no file, too large, or no UTF-8.
 */
export function readPolicyFile(path: string, mayBePipe: boolean): { text: string; isPipe: boolean } {
  // To open a pipe that nobody writes to, or some devices, would hold up all else.
  let fd = open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    const isPipe = stat.isFIFO();
    if (isPipe && !mayBePipe)
      throw new UsageError(
        `Cannot read the policy file "${path}": it is a pipe now, which is read at the start only`,
      );
    if (!isPipe && !stat.isFile())
      throw new UsageError(`Cannot read the policy file "${path}": it is no file`);
    if (isPipe) {
      closeSync(fd);
      fd = -1; // it may be gone by now
      fd = open(path, constants.O_RDONLY);
    }
    return { text: decode(path, readBounded(fd, `the policy file "${path}"`)), isPipe };
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

function open(path: string, flags: number): number {
  try {
    return openSync(path, flags);
  } catch (thrown) {
    throw new UsageError(`Cannot read the policy file "${path}": ${codeOf(thrown)}`);
  }
}

/* Whatever its size is said to be: it may grow, and a pipe has none. */
function readBounded(fd: number, what: string): Buffer {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const count = readSync(fd, chunk);
    if (count === 0) return Buffer.concat(chunks, bytes);
    chunks.push(chunk.subarray(0, count));
    bytes += count;
    if (bytes > MAX_FILE_BYTES)
      throw new UsageError(`Cannot read ${what}: it has more than ${MAX_FILE_BYTES} bytes, which are legal`);
  }
}

function decode(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new PolicyFileError([`${path}:1:1: the file is no UTF-8 text: YAML or JSON is legal`]);
  }
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown);
}
