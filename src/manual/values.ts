import type { Command } from '../cli/commands.ts';
import type { FlagSpec } from '../cli/flags.ts';
import { VERDICTS } from '../flow/reason.ts';

/**
 * What can stand in a place of a command line: some words, or what the shell finds there when it is asked, as
 * `@interfaces`; the functions of completion.bash, .zsh and .fish find each of `FOUND`.
 */
export type Values = readonly string[] | Found;

/** What shells find by themselves. */
export const FOUND = [
  '@files',
  '@interfaces',
  '@instances',
  '@netns',
  '@cgroups',
  '@presets',
  '@commands',
] as const;

/** A word of `FOUND`. */
export type Found = (typeof FOUND)[number];

const BY_NAME: ReadonlyMap<string, Values> = new Map<string, Values>([
  ['preset', '@presets'],
  ['instance', '@instances'],
  ['subject', ['host']],
]);

/* Flags that come later say by their placeholder what they take. */
const BY_PLACEHOLDER: ReadonlyMap<string, Values> = new Map<string, Values>([
  ['IF', '@interfaces'],
  ['FILE', '@files'],
  ['NETNS', '@netns'],
  ['CGROUP', '@cgroups'],
  ['VERDICT', VERDICTS.flatMap((verdict) => verdict ?? [])],
  ['PROTO', ['tcp', 'udp', 'icmp', 'icmpv6', 'sctp']],
]);

const WORDS: Partial<Record<Command | 'help', readonly Values[]>> = {
  help: ['@commands'],
  presets: [['list', 'show'], '@presets'],
  completion: [['bash', 'zsh', 'fish']],
};

/** What a flag takes, as far as it can be known; empty = anything. */
export function valuesOf({ name, kind, placeholder, choices }: FlagSpec): Values {
  if (choices) return choices;
  if (kind === 'boolean') return ['true', 'false'];
  return BY_NAME.get(name) ?? BY_PLACEHOLDER.get(placeholder) ?? [];
}

/** What a command takes besides flags, word by word, as far as it can be known. */
export function wordsOf(command: Command | 'help'): readonly Values[] {
  return WORDS[command] ?? [];
}
