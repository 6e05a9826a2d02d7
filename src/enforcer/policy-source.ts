import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { PolicyFileError, UsageError } from '../errors.ts';
import { escapeControl } from '../flow/escape.ts';
import { type Combined, type CommandLinePolicy, combinePolicies } from '../formats/combine.ts';
import type { FormatContext, PolicyPart } from '../formats/part.ts';
import type { Progress } from '../formats/read-documents.ts';
import { findPreset } from './presets.ts';

/** Larger files are refused. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

const CHUNK_BYTES = 64 * 1024;

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

/** Reads standard input once: a reload finds the same there. */
export class PolicyReader {
  readonly #source: PolicySource;
  #stdin: string | undefined;

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
    const texts = [...presets.map(findPreset), ...files].map((file) => ({ file, text: this.#read(file) }));
    const { readPolicies } = await import('../formats/read-policies.ts');
    const { parts, remarks } = await readPolicies(texts, { ...context, lenient }, progress);
    if (parts.length === 0 && line.rules.length === 0) {
      const why = remarks.length > 0 ? `\n${remarks.join('\n')}` : '';
      throw new UsageError(`no policy of ${files.join(', ')} applies, so nothing would be enforced${why}`);
    }
    if (!isModeGiven) refuseOtherMode(line, parts);
    const combined = combinePolicies(line, parts);
    return {
      ...combined,
      efaces: [...new Set(parts.flatMap(({ eface }) => eface ?? []))],
      ifaces: [...new Set(parts.flatMap(({ iface }) => iface ?? []))],
      remarks: [...remarks, ...combined.remarks].map(escapeControl),
    };
  }

  #read(file: string): string {
    if (file !== '-') return readPolicyFile(file);
    this.#stdin ??= decode(file, readBounded(0, 'standard input'));
    return this.#stdin;
  }
}

/* A file that asks for cgroups says nothing of which. */
function refuseOtherMode(line: CommandLinePolicy, parts: readonly PolicyPart[]): void {
  const asks = parts.find(({ mode, subject }) => mode === 'cgroup' && subject === undefined);
  if (!asks || !line.subjects.some(({ kind }) => kind === 'host')) return;
  throw new UsageError(
    `policy "${asks.name}" is for cgroups: say which with -mode=cgroup -cgroup=…, or with -mode=tc take it for the interfaces`,
  );
}

/** The text of a policy file. Throws UsageError when it can't be read, is no file, too large, or no UTF-8. */
export function readPolicyFile(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (thrown) {
    throw new UsageError(`Cannot read the policy file "${path}": ${codeOf(thrown)}`);
  }
  try {
    const { size, isRegular } = statOf(fd);
    if (!isRegular) throw new UsageError(`Cannot read the policy file "${path}": it is no file`);
    if (size > MAX_FILE_BYTES) {
      throw new UsageError(
        `Cannot read the policy file "${path}": it has ${size} bytes, at most ${MAX_FILE_BYTES} are legal`,
      );
    }
    return decode(path, readBounded(fd, path));
  } finally {
    closeSync(fd);
  }
}

function statOf(fd: number): { size: number; isRegular: boolean } {
  const stat = fstatSync(fd);
  // A pipe, as of <(command), is a file to read; a directory or a device is not.
  return { size: stat.size, isRegular: stat.isFile() || stat.isFIFO() };
}

/* A pipe has no size, and a file may grow meanwhile. */
function readBounded(fd: number, title: string): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let length = 0; length <= MAX_FILE_BYTES; ) {
    const chunk = new Uint8Array(CHUNK_BYTES);
    const count = readSync(fd, chunk);
    if (count === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, count));
    length += count;
  }
  throw new UsageError(`Cannot read ${title}: it has more than ${MAX_FILE_BYTES} bytes, which are legal`);
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
