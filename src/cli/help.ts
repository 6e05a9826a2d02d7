import { COMMANDS, type Command } from './commands.ts';
import { FLAGS, type FlagSpec } from './flags.ts';
import { commandTopics, flagTopics } from './topics.ts';

/** What help is wanted of: one command, or `all`; absent: a first page. */
export type HelpAbout = Command | 'all';

type Row = readonly [left: string, right: string];

const COLUMNS = 110;
const FLAG_WORDS =
  'Flags have one dash or two, the value stands behind = or a space; … is repeatable and comma separated.';

/** The text of `-help`: a first page, all that concerns one command, or all there is. */
export function helpText(about?: HelpAbout): string {
  if (about === undefined) return firstPage();
  const lines = about === 'all' ? [...commandLines(), ''] : aboutCommand(about);
  const flags = FLAGS.filter(({ commands }) => about === 'all' || commands.includes(about));
  const topics = flagTopics(flags, about !== 'all').flatMap(({ title, members }) => [
    '',
    `${title}:`,
    ...alignRows(members.map(rowOf)),
  ]);
  return [...lines, FLAG_WORDS, ...topics, ''].join('\n');
}

function firstPage(): string {
  const topics = flagTopics(FLAGS);
  const width = Math.max(...topics.map(({ title }) => title.length));
  const lines = topics.flatMap(({ title, members }) =>
    wrapWords(`  ${title.padEnd(width)} `, [...new Set(members.map(({ name }) => `-${name}`))]),
  );
  return [
    'l7egg-cli lets this host, a container, a service or one command talk only to the networks and names listed.',
    '',
    ...commandLines(),
    '',
    'Flags, the first ones of enforce and run:',
    ...lines,
    '',
    'For example:',
    '  l7egg-cli -iface=eth0 -eface=eth0 -cidr=10.0.2.0/24 -cn=.debian.org -audit',
    '  l7egg-cli run -preset=npm -- npm ci',
    '',
    'help COMMAND says what its flags mean, help all those of every command; so does the manual page l7egg-cli(8).',
    '',
  ].join('\n');
}

function commandLines(): string[] {
  const rows = commandTopics().flatMap(({ title, members }) => [
    '',
    `${title}:`,
    ...members.map((name): Row => [`l7egg-cli ${COMMANDS[name].usage}`, COMMANDS[name].meaning]),
  ]);
  return alignRows(rows).slice(1);
}

function aboutCommand(name: Command): string[] {
  const { usage, meaning } = COMMANDS[name];
  return [`Usage: l7egg-cli ${usage}`, '', `  ${meaning}`, ''];
}

function rowOf({ name, alias, placeholder, meaning, kind }: FlagSpec): Row {
  const also = alias === undefined ? '' : `, -${alias}`;
  return [`-${name}${placeholder && `=${placeholder}`}${kind === 'list' ? '…' : ''}${also}`, meaning];
}

/* Rows share one column; what is no row stands as it is. */
function alignRows(lines: readonly (string | Row)[]): string[] {
  const width = Math.max(...lines.map((line) => (typeof line === 'string' ? 0 : line[0].length)));
  return lines.map((line) => (typeof line === 'string' ? line : `  ${line[0].padEnd(width)}  ${line[1]}`));
}

function wrapWords(title: string, words: readonly string[]): string[] {
  const lines: string[] = [];
  let line = title;
  for (const word of words) {
    if (line.length + word.length + 1 > COLUMNS) {
      lines.push(line);
      line = ' '.repeat(title.length);
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
