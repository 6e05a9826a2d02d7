import { COMMAND_NAMES, type Command } from './commands.ts';
import type { FlagSpec } from './flags.ts';

/** Some commands or flags that belong together. */
export interface Topic<Of> {
  readonly title: string;
  readonly members: readonly Of[];
}

/* Those that no topic names are in the last one. */
const COMMAND_TOPICS: readonly Topic<string>[] = [
  { title: 'Enforce', members: ['enforce', 'run', 'reload', 'stop', 'clean'] },
  { title: 'See', members: ['status', 'observe', 'watch', 'suggest'] },
  { title: 'Ask', members: ['check', 'explain', 'presets', 'doctor'] },
];
const FLAG_TOPICS: readonly Topic<string>[] = [
  {
    title: 'What is controlled',
    members: [
      'iface',
      'eface',
      'mode',
      'cgroup',
      'container',
      'label',
      'network',
      'netns',
      'wait',
      'inbound',
    ],
  },
  {
    title: 'Rules',
    members: [
      'cidr',
      'deny-cidr',
      'cn',
      'name',
      'deny-name',
      'port',
      'policy',
      'preset',
      'lenient',
      'audit',
      'rate',
      'ceil',
    ],
  },
  { title: 'DNS', members: ['resolver', 'dns', 'allow-private-answers'] },
];
const OTHER_COMMANDS = 'Other';
const OTHER_FLAGS = 'Start, output and metrics';
const ITS_OWN = 'Its own';
const OF_EVERY_COMMAND = 'Of every command';
/** Whose flags have topics; those of other commands only are listed by command. */
const ENFORCING: readonly Command[] = ['enforce', 'run'];

/** The commands by topic, each topic with at least one. */
export function commandTopics(): Topic<Command>[] {
  const named = COMMAND_TOPICS.map(({ title, members }) => ({
    title,
    members: COMMAND_NAMES.filter((name) => members.includes(name)),
  }));
  const placed = named.flatMap(({ members }) => members);
  const rest = COMMAND_NAMES.filter((name) => !placed.includes(name));
  return [...named, { title: OTHER_COMMANDS, members: rest }].filter(({ members }) => members.length > 0);
}

/**
 * `flags` by topic, each topic with at least one: those of enforcing commands first, those of all commands last.
 * `isOfOne`: they are all of one command.
 */
export function flagTopics(flags: readonly FlagSpec[], isOfOne = false): Topic<FlagSpec>[] {
  const titles = [...FLAG_TOPICS.map(({ title }) => title), OTHER_FLAGS];
  const found = new Map<string, FlagSpec[]>(titles.map((title) => [title, []]));
  for (const flag of flags) {
    const title = titleOf(flag, isOfOne);
    found.set(title, [...(found.get(title) ?? []), flag]);
  }
  const common = found.get(OF_EVERY_COMMAND) ?? [];
  found.delete(OF_EVERY_COMMAND);
  return [...found, [OF_EVERY_COMMAND, common] as const]
    .map(([title, members]) => ({ title, members }))
    .filter(({ members }) => members.length > 0);
}

function titleOf({ name, commands }: FlagSpec, isOfOne: boolean): string {
  if (commands.length === COMMAND_NAMES.length) return OF_EVERY_COMMAND;
  if (!commands.some((command) => ENFORCING.includes(command)))
    return isOfOne ? ITS_OWN : `Of ${commands.join(', ')}`;
  return FLAG_TOPICS.find(({ members }) => members.includes(name))?.title ?? OTHER_FLAGS;
}
