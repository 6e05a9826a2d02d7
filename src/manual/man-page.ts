import { COMMANDS } from '../cli/commands.ts';
import { FLAGS, type FlagSpec } from '../cli/flags.ts';
import { commandTopics, flagTopics } from '../cli/topics.ts';
import { DESCRIPTION, MORE_ON_COMMANDS, MORE_ON_FLAGS, SECTIONS, SEE_ALSO, type Section } from './prose.ts';
import { roffText, roffUsage } from './roff.ts';

/** Where `make install` finds the prefix that it puts its own in place of. */
const PREFIX = '/usr/local';

/** The manual page l7egg-cli(8) in man(7), made of the tables of commands and flags and the prose beside them. */
export function manPage(version: string): string {
  const names = commandTopics().flatMap(({ members }) => members);
  const lines = [
    '.\\" Made from src/cli/commands.ts, src/cli/flags.ts and src/manual/prose.ts.',
    `.TH L7EGG\\-CLI 8 "" "l7egg ${version}" "System administration"`,
    // Names and flags are copied: they are not broken at hyphens, nor hyphenated.
    '.nh',
    '.ad l',
    '.SH NAME',
    'l7egg\\-cli \\- egress firewall for one host that takes names, not only addresses',
    '.SH SYNOPSIS',
    ...names.flatMap((name) => ['.br', `\\fBl7egg\\-cli\\fR ${roffUsage(COMMANDS[name].usage)}`]).slice(1),
    '.br',
    '\\fBl7egg\\-cli help\\fR [\\fICOMMAND\\fR | \\fBall\\fR]',
    '.SH DESCRIPTION',
    ...paragraphs(DESCRIPTION),
    '.SH COMMANDS',
    ...commandTopics().flatMap(({ title, members }) => [
      `.SS ${title}`,
      ...members.flatMap((name) => [
        '.TP',
        roffUsage(COMMANDS[name].usage),
        sentence(COMMANDS[name].meaning),
        ...more(MORE_ON_COMMANDS[name]),
      ]),
    ]),
    '.SH OPTIONS',
    'One dash or two, the value behind = or a space; what has ... is repeatable and comma separated.',
    ...flagTopics(FLAGS).flatMap(({ title, members }) => [
      `.SS ${title}`,
      ...members.flatMap((flag) => ['.TP', flagTitle(flag), sentence(flag.meaning), ...moreOn(flag)]),
    ]),
    ...SECTIONS.flatMap(section),
    '.SH SEE ALSO',
    SEE_ALSO.map((page) => page.replace(/^(.*)(\(\d\))$/u, '\\fB$1\\fR$2')).join(',\n'),
    '',
  ];
  return lines.join('\n');
}

function flagTitle({ name, alias, placeholder, kind }: FlagSpec): string {
  const value = placeholder === '' ? '' : `=${placeholder}`;
  const titles = [name, ...(alias === undefined ? [] : [alias])].map((each) => roffUsage(`-${each}${value}`));
  return `${titles.join(', ')}${kind === 'list' ? '\\&...' : ''}`;
}

/* Flags of one name may mean other things for other commands. */
function moreOn({ name, commands }: FlagSpec): string[] {
  return commands.includes('enforce') || commands.includes('run') ? more(MORE_ON_FLAGS.get(name)) : [];
}

function more(text: string | undefined): string[] {
  return text === undefined ? [] : [roffText(text)];
}

/* Help has no full stops and begins with a small letter. */
function sentence(meaning: string): string {
  return roffText(`${meaning.charAt(0).toUpperCase()}${meaning.slice(1)}.`);
}

function paragraphs(texts: readonly string[]): string[] {
  return texts.flatMap((text) => ['.PP', roffText(text)]).slice(1);
}

function section({ title, paragraphs: texts = [], items = [] }: Section): string[] {
  return [
    `.SH ${title}`,
    ...paragraphs(texts),
    ...items.flatMap(([what, meaning]) => [
      '.TP',
      `\\fB${roffText(what.replace('@PREFIX@', PREFIX)).replace(/(?<!\\)-/gu, '\\-')}\\fR`,
      roffText(meaning),
    ]),
  ];
}
