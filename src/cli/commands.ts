import { UsageError } from '../errors.ts';
import { suggest } from '../wording.ts';

/** The sub-commands, with what each takes and does. */
export const COMMANDS = {
  enforce: {
    usage: '[enforce] -iface=IF -eface=IF [flags]',
    meaning: 'run in the foreground until SIGINT or SIGTERM',
  },
  run: {
    usage: 'run [flags] -- COMMAND ARGS…',
    meaning: 'only this process tree; exit code passed through',
  },
  status: { usage: 'status [-json]', meaning: 'what is in force; exit 0 enforcing, 3 not' },
  observe: {
    usage: 'observe [-f] [-n=N] [-o=FORMAT] [filters]',
    meaning: 'what passes or not; exit 1 it was killed, 3 none runs',
  },
  watch: {
    usage: 'watch [filters]',
    meaning: 'who goes where, live in the whole terminal',
  },
  check: {
    usage: 'check [HOST[:PORT[/PROTO]]] [-policy=F]',
    meaning: 'would it pass: exit 0 yes, 1 no; or: is the file valid',
  },
  explain: {
    usage: 'explain HOST[:PORT[/PROTO]] [-policy=F]',
    meaning: 'the same, with every rule that speaks of it',
  },
  suggest: {
    usage: 'suggest [-format=F] [-since=TIME]',
    meaning: 'the list that would allow what was seen since the start',
  },
  presets: { usage: 'presets [list | show NAME]', meaning: 'what -preset can name, and what it allows' },
  reload: { usage: 'reload', meaning: 'read policy files and resolvers again, say what changed' },
  stop: { usage: 'stop', meaning: 'end the enforcer and open what it closed' },
  clean: { usage: 'clean', meaning: 'remove all of an instance, running or not' },
  doctor: { usage: 'doctor', meaning: 'what this host has, lacks and does not cover' },
  completion: {
    usage: 'completion bash | zsh | fish',
    meaning: 'a script that completes command lines in this shell',
  },
} as const;

/** The name of a sub-command. */
export type Command = keyof typeof COMMANDS;

/** All of them, in the order in which help lists them. */
export const COMMAND_NAMES: readonly Command[] = [
  'enforce',
  'run',
  'status',
  'observe',
  'watch',
  'check',
  'explain',
  'suggest',
  'presets',
  'reload',
  'stop',
  'clean',
  'doctor',
  'completion',
];

/** How many words a command takes besides its name. */
export function maxWords(command: Command): number {
  if (command === 'presets') return 2;
  return command === 'check' || command === 'explain' || command === 'completion' ? 1 : 0;
}

/** The command of this name. Throws UsageError, with the nearest legal one. */
export function parseCommand(word: string): Command {
  const command = COMMAND_NAMES.find((name) => name === word);
  if (command) return command;
  throw new UsageError(
    `"${word}" is not a command${suggest(word, COMMAND_NAMES) || `: ${COMMAND_NAMES.join(', ')} or help is legal`}`,
  );
}
