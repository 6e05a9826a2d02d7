/** Bad input: a flag, a policy or a named thing that is not there. Exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Policy files that can't be taken: a line for each error, `FILE:LINE:COL: what`. Exit code 2. */
export class PolicyFileError extends UsageError {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/** Policies that are legal, none of which is for the subject at hand. Exit code 2 where one was to be put in force. */
export class NothingAppliesError extends UsageError {
  readonly lines: readonly string[];

  /** @param sentence what is wrong @param remarks why, a line each */
  constructor(sentence: string, remarks: readonly string[] = []) {
    super([sentence, ...remarks].join('\n'));
    this.lines = [sentence, ...remarks];
  }
}

/** Something is missing on this host: privilege, kernel feature, bpffs, libbpf. Exit code 3. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
}

/** A system call or library call failed; `code` is the errno name, such as ENOENT. Exit code 1. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly code: string;
  readonly operation: string;

  /** @param operation what was tried, in words @param code errno name */
  constructor(operation: string, code: string, options?: ErrorOptions) {
    super(`Cannot ${operation}: ${code}`, options);
    this.operation = operation;
    this.code = code;
  }

  /** The message, a line each. */
  get lines(): readonly string[] {
    return [this.message];
  }
}

/** Whether something was thrown because the host refused it: our SystemError, or what node's own calls throw. */
export function isOfSystem(thrown: unknown): thrown is Error {
  return thrown instanceof SystemError || (thrown instanceof Error && 'syscall' in thrown);
}

/** Another enforcer holds the instance or the interface. Exit code 1. */
export class TakenError extends Error {
  override readonly name = 'TakenError';
}

/** Starting would cut the session that started it. Exit code 4. */
export class LockoutError extends Error {
  override readonly name = 'LockoutError';
}

/**
 * What an error says, a line each: one, but for errors that were made of several. A line break in a name that one
 * quotes makes no line.
 */
export function messageLines(thrown: unknown): readonly string[] {
  if (thrown instanceof PolicyFileError || thrown instanceof NothingAppliesError) return thrown.lines;
  if (thrown instanceof SystemError) return thrown.lines;
  return [thrown instanceof Error ? thrown.message : String(thrown)];
}
