import { COMMAND_NAMES, COMMANDS, type Command } from './commands.ts';
import { FLAGS } from './flags.ts';

type Row = readonly [left: string, right: string];

/** The text of `-help`: all of it, or what concerns one command. */
export function helpText(about?: Command): string {
  const commands = COMMAND_NAMES.filter((name) => about === undefined || name === about);
  const flags = FLAGS.filter((spec) => about === undefined || spec.commands.includes(about));
  const usage = commands.map((name): Row => [`l7egg-cli ${COMMANDS[name].usage}`, COMMANDS[name].meaning]);
  const rows = flags.map(({ name, placeholder, meaning, kind }): Row => {
    const value = placeholder && `=${placeholder}`;
    return [`-${name}${value}${kind === 'list' ? '…' : ''}`, meaning];
  });
  return [
    'Usage:',
    ...alignRows(usage),
    '',
    'Flags, with one dash or two, the value behind = or a space; … is repeatable and comma separated:',
    ...alignRows(rows),
    '',
  ].join('\n');
}

function alignRows(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
