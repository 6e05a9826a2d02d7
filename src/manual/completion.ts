import { COMMAND_NAMES, COMMANDS } from '../cli/commands.ts';
import { FLAGS } from '../cli/flags.ts';
import { type Values, valuesOf, wordsOf } from './values.ts';

/** The shells whose command lines are completed. */
export type Shell = 'bash' | 'zsh' | 'fish';

/** A policy that comes with the package, and what it is for. */
export interface NamedPreset {
  readonly name: string;
  readonly description: string;
}

/** The line of a script that the tables take the place of. */
const MARK = "'@TABLE@'";

/**
 * The completion script of a shell: its own part, `script`, with all commands and flags in it. Each line of the table
 * has five fields with a tab between: `command NAME - - MEANING`, `word COMMAND NUMBER VALUES -`,
 * `flag COMMAND NAME KIND VALUES MEANING` (six) and `preset NAME - - MEANING`.
 */
export function completionScript(shell: Shell, script: string, presets: readonly NamedPreset[]): string {
  const lines = [
    ...COMMAND_NAMES.map((name) => ['command', name, '-', '-', COMMANDS[name].meaning]),
    ['command', 'help', '-', '-', 'what there is, or what a command takes'],
    ...[...COMMAND_NAMES, 'help' as const].flatMap((name) =>
      wordsOf(name).map((values, index) => ['word', name, String(index + 1), fieldOf(values), '-']),
    ),
    ...FLAGS.flatMap((flag) =>
      flag.commands.flatMap((command) =>
        [flag.name, ...(flag.alias === undefined ? [] : [flag.alias])].map((name) => [
          'flag',
          command,
          name,
          flag.kind,
          fieldOf(valuesOf(flag)),
          flag.meaning,
        ]),
      ),
    ),
    ...presets.map(({ name, description }) => ['preset', name, '-', '-', description]),
  ];
  const table = lines.map((fields) => fields.join('\t')).join('\n');
  // A function: a dollar sign in a text stands for itself.
  return script.replace(MARK, () => quote(shell, table));
}

function fieldOf(values: Values): string {
  return typeof values === 'string' ? values : values.join(',') || '-';
}

function quote(shell: Shell, text: string): string {
  if (shell === 'fish') return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  return `'${text.replaceAll("'", "'\\''")}'`;
}
