import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../errors.ts';
import { anyOf, suggest } from '../wording.ts';

/** The scripts lie beside the bundle; they are made of the tables of commands and flags when it is built. */
const FOLDER = fileURLToPath(new URL('manual', import.meta.url));
const SHELLS = ['bash', 'zsh', 'fish'];

/** Which shell's completion script is wanted. */
export interface CompletionOptions {
  readonly command: 'completion';
  readonly shell: string;
}

/** Parses what stands behind `completion`. Throws UsageError. */
export function parseCompletion([shell]: readonly string[]): CompletionOptions {
  if (shell !== undefined && SHELLS.includes(shell)) return { command: 'completion', shell };
  if (shell === undefined) throw new UsageError(`completion needs a shell: ${anyOf(SHELLS)} is legal`);
  throw new UsageError(
    `"${shell}" is no shell that is completed${suggest(shell, SHELLS) || `: ${anyOf(SHELLS)} is legal`}`,
  );
}

/** Prints the script. Exit code 0. */
export function runCompletion({ shell }: CompletionOptions): number {
  process.stdout.write(readFileSync(`${FOLDER}/completion.${shell}`));
  return 0;
}
