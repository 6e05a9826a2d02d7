import { parseResolver, type Resolver } from '../dns/resolver.ts';
import type { Netns } from '../enforcer/netns.ts';
import type { PolicySource } from '../enforcer/policy-source.ts';
import { UsageError } from '../errors.ts';
import type { FilterTexts } from '../flow/filter.ts';
import { letsPass } from '../policy/rule.ts';
import { parseSubject, type Subject } from '../policy/subject.ts';
import { parseTarget, type Target } from '../policy/target.ts';
import { COMMANDS, type Command, maxWords, parseCommand } from './commands.ts';
import { type CompletionOptions, parseCompletion } from './completion.ts';
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import { checkFlags, DEFAULT_INSTANCE, LOG_FORMATS } from './flags.ts';
import { parseInstance, parseInterfaces, parseNetns } from './host-flags.ts';
import type { Normalised } from './normalise.ts';
import { type ObserveOptions, parseFilterFlags, parseObserve } from './observe-flags.ts';
import { parsePolicySource } from './policy-flags.ts';
import { type PresetsOptions, parsePresets } from './presets.ts';
import { parseSuggest, type SuggestOptions } from './suggest-flags.ts';

/** What `enforce` is to do. Empty lists of interfaces and resolvers: the host's own. `log`: absent = text. */
export interface EnforceOptions {
  readonly command: 'enforce';
  readonly instance: string;
  readonly ifaces: readonly string[];
  readonly efaces: readonly string[];
  readonly source: PolicySource;
  readonly remarks: readonly string[];
  readonly resolvers: readonly Resolver[];
  readonly netns?: Netns;
  readonly wait: boolean;
  readonly force: boolean;
  /** Where metrics are told; absent = nowhere. */
  readonly metrics?: Endpoint;
  readonly log?: 'text' | 'json';
}

/** What `run` is to do. */
export interface RunOptions {
  readonly command: 'run';
  readonly instance: string;
  /** The program and its arguments, untouched. */
  readonly argv: readonly [string, ...string[]];
  readonly source: PolicySource;
  readonly remarks: readonly string[];
  readonly resolvers: readonly Resolver[];
  readonly summaryMd?: string;
  readonly failOnBlocked: boolean;
}

/** What is asked of a policy: of one in force, or of files where any are given. Without target: are they valid. */
export interface CheckOptions {
  readonly command: 'check' | 'explain';
  readonly instance: string;
  readonly target?: Target;
  readonly targetText?: string;
  readonly subject?: Subject;
  readonly source: PolicySource;
}

/** What the command line asks for. */
export type Options =
  | EnforceOptions
  | RunOptions
  | { readonly command: 'status'; readonly instance: string; readonly json: boolean }
  | ObserveOptions
  | SuggestOptions
  | { readonly command: 'watch'; readonly instance: string; readonly filter: FilterTexts }
  | CheckOptions
  | { readonly command: 'stop' | 'clean'; readonly instance: string }
  | { readonly command: 'reload'; readonly instance: string }
  | PresetsOptions
  | { readonly command: 'doctor'; readonly instance: string; readonly netns?: Netns }
  | { readonly command: 'help'; readonly about?: Command | 'all' }
  | CompletionOptions
  | { readonly command: 'version' };

/**
 * Turns sorted arguments into what is asked for, every value parsed. The first word names the command.
 * Throws UsageError, also where `enforce` would allow nothing and `-audit` is not given.
 */
export function parseOptions({ values, words, rest }: Normalised): Options {
  const isOn = (name: string): boolean => values.get(name)?.[0] === 'true';
  const [first, ...others] = words[0] === 'help' ? words.slice(1) : words;
  if (words[0] === 'help' && first === 'all' && others.length === 0) return { command: 'help', about: 'all' };
  const isVersionWord = first === 'version' && others.length === 0;
  const command = first === undefined || isVersionWord ? 'enforce' : parseCommand(first);
  const loose = command === 'run' ? others : [...others, ...rest];
  const extra = loose[maxWords(command)];
  if (extra !== undefined) {
    const hint = command === 'run' ? ': the command stands behind " -- "' : '';
    throw new UsageError(`"${extra}" is one argument too many for ${command}${hint}`);
  }
  if (words[0] === 'help' || isOn('help'))
    return { command: 'help', ...(first === undefined ? {} : { about: command }) };
  if (isOn('version') || isVersionWord) return { command: 'version' };
  checkFlags(command, values);
  const instance = parseInstance(values.get('instance')?.[0] ?? DEFAULT_INSTANCE);
  switch (command) {
    case 'enforce':
      return parseEnforce(instance, values);
    case 'run':
      return parseRun(values.has('instance') ? instance : `run-${process.pid}`, values, rest);
    case 'status':
      return { command, instance, json: isOn('json') };
    case 'observe':
      return parseObserve(instance, values);
    case 'suggest':
      return parseSuggest(instance, values);
    case 'watch':
      return { command, instance, filter: parseFilterFlags(values) };
    case 'check':
    case 'explain':
      return parseCheck(command, instance, loose[0], values);
    case 'presets':
      return parsePresets(loose);
    case 'completion':
      return parseCompletion(loose);
    case 'doctor':
      return { command, instance, ...netnsOf(values) };
    case 'stop':
    case 'clean':
      return { command, instance };
    case 'reload':
      return { command, instance };
    default:
      return command satisfies never;
  }
}

type Values = Normalised['values'];

function parseEnforce(instance: string, values: Values): EnforceOptions {
  const list = (name: string): readonly string[] => values.get(name) ?? [];
  const isOn = (name: string): boolean => list(name)[0] === 'true';
  const { source, remarks } = parsePolicySource(values);
  const { line, files, presets } = source;
  if (files.length === 0 && presets.length === 0 && !line.audit && !line.rules.some(letsPass)) {
    throw new UsageError(
      'nothing would be allowed: give at least one of -cidr, -cn, -name, -policy and -preset, or -audit',
    );
  }
  const log = LOG_FORMATS.find((format) => format === list('log')[0]);
  const [metrics] = list('metrics').map((text) => parseEndpoint('metrics', text));
  return {
    command: 'enforce',
    instance,
    ifaces: parseInterfaces('iface', list('iface')),
    efaces: parseInterfaces('eface', list('eface')),
    source,
    remarks,
    resolvers: list('resolver').map(parseResolver),
    ...netnsOf(values),
    wait: isOn('wait'),
    force: isOn('force'),
    ...(metrics && { metrics }),
    ...(log === undefined ? {} : { log }),
  };
}

function parseRun(instance: string, values: Values, rest: readonly string[]): RunOptions {
  const [program, ...args] = rest;
  if (program === undefined)
    throw new UsageError('run needs a command behind " -- ": run -name=example.com -- curl example.com');
  const { source, remarks } = parsePolicySource(values);
  const summaryMd = values.get('summary-md')?.[0];
  return {
    command: 'run',
    instance,
    argv: [program, ...args],
    // Names are the way to say something outside: who may look up any name may say anything.
    source: { ...source, line: { ...source.line, defaultDns: 'strict' }, isModeGiven: true },
    remarks,
    resolvers: (values.get('resolver') ?? []).map(parseResolver),
    ...(summaryMd !== undefined && { summaryMd }),
    failOnBlocked: values.get('fail-on-blocked')?.[0] === 'true',
  };
}

function parseCheck(
  command: 'check' | 'explain',
  instance: string,
  text: string | undefined,
  values: Values,
): CheckOptions {
  const { source } = parsePolicySource(values);
  const isFromFiles = source.files.length > 0 || source.presets.length > 0;
  if (text === undefined && (command === 'explain' || !isFromFiles))
    throw new UsageError(`${command} needs a target: ${COMMANDS[command].usage} is legal`);
  const [subject] = (values.get('subject') ?? []).map(parseSubject);
  return {
    command,
    instance,
    ...(text !== undefined && { target: parseTarget(text), targetText: text }),
    ...(subject && { subject }),
    // Nothing is put on interfaces or cgroups, so which of them is no question.
    source: { ...source, isModeGiven: true },
  };
}

function netnsOf(values: Values): { netns?: Netns } {
  const text = values.get('netns')?.[0];
  return text === undefined ? {} : { netns: parseNetns(text) };
}
