import { parseResolver, type Resolver } from '../dns/resolver.ts';
import type { Netns } from '../enforcer/netns.ts';
import type { PolicySource } from '../enforcer/policy-source.ts';
import { UsageError } from '../errors.ts';
import type { CommandLinePolicy } from '../formats/combine.ts';
import { parseFlagRules } from '../policy/flag-rules.ts';
import { mergePorts, type PortRange, parsePort } from '../policy/port.ts';
import { letsPass } from '../policy/rule.ts';
import { makeShaping, parseRate, type Shaping } from '../policy/shaping.ts';
import { parseCgroup, parseContainer, parseLabel, parseSubject, type Subject } from '../policy/subject.ts';
import { parseTarget, type Target } from '../policy/target.ts';
import { suggest } from '../wording.ts';
import type { FlagShape, Normalised } from './normalise.ts';
import { type PresetsOptions, parsePresets } from './presets.ts';

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
  check: {
    usage: 'check [HOST[:PORT[/PROTO]]] [-policy=F]',
    meaning: 'would it pass: exit 0 yes, 1 no; or: is the file valid',
  },
  explain: {
    usage: 'explain HOST[:PORT[/PROTO]] [-policy=F]',
    meaning: 'the same, with every rule that speaks of it',
  },
  presets: { usage: 'presets [list | show NAME]', meaning: 'what -preset can name, and what it allows' },
  reload: { usage: 'reload', meaning: 'read policy files and resolvers again, say what changed' },
  stop: { usage: 'stop', meaning: 'end the enforcer and open what it closed' },
  clean: { usage: 'clean', meaning: 'remove all of an instance, running or not' },
  doctor: { usage: 'doctor', meaning: 'what this host has, lacks and does not cover' },
} as const;

/** The name of a sub-command. */
export type Command = keyof typeof COMMANDS;

/** One flag: its shape, and what `-help` and the README say of it. */
export interface FlagSpec extends FlagShape {
  /** Stands for the value in help; empty where there is none. */
  readonly placeholder: string;
  readonly meaning: string;
  readonly commands: readonly Command[];
}

const DEFAULT_INSTANCE = 'default';
const DNS_MODES = ['open', 'strict'] as const;
const MODES = ['tc', 'cgroup'] as const;
const LOG_FORMATS = ['text', 'json'] as const;
const ALL: readonly Command[] = [
  'enforce',
  'run',
  'status',
  'check',
  'explain',
  'presets',
  'reload',
  'stop',
  'clean',
  'doctor',
];
/** Those that read policy files. */
const READERS: readonly Command[] = ['enforce', 'run', 'check', 'explain'];
/** Those that put rules of flags in force. */
const RULERS: readonly Command[] = ['enforce', 'run'];

/** How many words a command takes besides its name. */
const ARGUMENTS: Partial<Record<Command, number>> = { check: 1, explain: 1, presets: 2 };

const STAR = "'*' = physical, bond, VLAN, tunnel devices";

/** All flags, in the order in which help lists them. */
export const FLAGS: readonly FlagSpec[] = [
  flag('iface', 'list', 'IF', 'interface on which DNS answers come in'),
  flag('eface', 'list', 'IF', `interface whose egress is controlled, ${STAR}`),
  flag('cidr', 'list', 'PREFIX', 'allow a network or an address', RULERS),
  flag('deny-cidr', 'list', 'PREFIX', 'deny a network or an address, whatever allows it', RULERS),
  flag(
    'cn',
    'list',
    'SUFFIX',
    'allow names that end so: .example.com is every name under example.com',
    RULERS,
  ),
  flag(
    'name',
    'list',
    'PATTERN',
    'allow a name or a pattern: * in one label, leading **. one or more labels',
    RULERS,
  ),
  flag('deny-name', 'list', 'PATTERN', 'refuse lookups of a name or a pattern', RULERS),
  flag('port', 'list', 'PORT', 'limit all that is allowed: 443, 443/tcp, 8000-8100/udp or icmp', RULERS),
  flag(
    'policy',
    'list',
    'FILE',
    'policy file, YAML or JSON, - = standard input; read again when it changes',
    READERS,
  ),
  flag('preset', 'list', 'NAME', 'allow the hosts of a registry or service: presets list', READERS),
  flag(
    'lenient',
    'boolean',
    '',
    'leave out, with a warning, what a policy file has and is not enforced',
    READERS,
  ),
  flag(
    'label',
    'list',
    'KEY=VALUE',
    'control containers with this label; for selectors of policy files',
    READERS,
  ),
  flag('network', 'list', 'NAME', 'network of the interfaces, for MultiNetworkPolicy', READERS),
  {
    ...flag('mode', 'choice', 'tc|cgroup', 'control interfaces, or processes of cgroups'),
    choices: MODES,
  },
  flag('cgroup', 'list', 'CGROUP', 'with -mode=cgroup: a path, unit:NAME or pid:N'),
  flag('container', 'list', 'NAME', 'control a container, by its name or id, whenever it runs'),
  flag('resolver', 'list', 'ADDR', 'trusted resolver; default: those of this host', RULERS),
  {
    ...flag('dns', 'choice', 'open|strict', 'look up any name (default), or listed ones only', RULERS),
    choices: DNS_MODES,
  },
  flag('allow-private-answers', 'boolean', '', 'let allowed names point to private addresses', RULERS),
  flag('inbound', 'list', 'PORT', 'let replies out for new inbound flows on these local ports only', RULERS),
  flag('netns', 'value', 'NETNS', 'network namespace to work in: name, path or pid:N', ['enforce', 'doctor']),
  flag('audit', 'boolean', '', 'drop nothing, report what would be dropped', RULERS),
  flag('rate', 'value', 'RATE', 'shape what is sent: 500kbit, 1mbit', RULERS),
  flag('ceil', 'value', 'RATE', 'what it may take when others leave it; default: the rate', RULERS),
  flag('summary-md', 'value', 'FILE', 'append what was blocked to a file, as Markdown', ['run']),
  flag('fail-on-blocked', 'boolean', '', 'exit 10 in place of 0 when anything was blocked', ['run']),
  flag('wait', 'boolean', '', 'wait for interfaces that are not there yet'),
  flag('force', 'boolean', '', 'start even if that cuts the session that starts it'),
  { ...flag('log', 'choice', 'text|json', 'form of events'), choices: LOG_FORMATS },
  flag('instance', 'value', 'NAME', `name of this enforcer; default: ${DEFAULT_INSTANCE}`, ALL),
  flag('subject', 'value', 'WHO', 'whose policy is asked; default: the host, or the only one', [
    'check',
    'explain',
  ]),
  flag('json', 'boolean', '', 'print JSON', ['status']),
  flag('version', 'boolean', '', 'print the version', ALL),
  { ...flag('help', 'boolean', '', 'print this help', ALL), alias: 'h' },
];

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
  | CheckOptions
  | { readonly command: 'stop' | 'clean'; readonly instance: string }
  | { readonly command: 'reload'; readonly instance: string }
  | PresetsOptions
  | { readonly command: 'doctor'; readonly instance: string; readonly netns?: Netns }
  | { readonly command: 'help'; readonly about?: Command }
  | { readonly command: 'version' };

/**
 * Turns sorted arguments into what is asked for, every value parsed. The first word names the command.
 * Throws UsageError, also where `enforce` would allow nothing and `-audit` is not given.
 */
export function parseOptions({ values, words, rest }: Normalised): Options {
  const isOn = (name: string): boolean => values.get(name)?.[0] === 'true';
  const [first, ...others] = words[0] === 'help' ? words.slice(1) : words;
  const isVersionWord = first === 'version' && others.length === 0;
  const command = first === undefined || isVersionWord ? 'enforce' : parseCommand(first);
  const loose = command === 'run' ? others : [...others, ...rest];
  const extra = loose[ARGUMENTS[command] ?? 0];
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
    case 'check':
    case 'explain':
      return parseCheck(command, instance, loose[0], values);
    case 'presets':
      return parsePresets(loose);
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

/** The text of `-help`: all of it, or what concerns one command. */
export function helpText(about?: Command): string {
  const commands = ALL.filter((name) => about === undefined || name === about);
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

type Values = Normalised['values'];
type Row = readonly [left: string, right: string];

function flag(
  name: string,
  kind: FlagSpec['kind'],
  placeholder: string,
  meaning: string,
  commands: readonly Command[] = ['enforce'],
): FlagSpec {
  return { name, kind, placeholder, meaning, commands };
}

function alignRows(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

function parseCommand(word: string): Command {
  const command = ALL.find((name) => name === word);
  if (command) return command;
  throw new UsageError(
    `"${word}" is not a command${suggest(word, ALL) || `: ${ALL.join(', ')} or help is legal`}`,
  );
}

function checkFlags(command: Command, values: Values): void {
  const legal = FLAGS.filter((spec) => spec.commands.includes(command)).map(({ name }) => name);
  const stray = [...values.keys()].find((name) => !legal.includes(name));
  if (stray === undefined) return;
  throw new UsageError(
    `flag -${stray} is not for ${command}: ${legal.map((name) => `-${name}`).join(', ')} are legal`,
  );
}

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

/** What the flags say of policies. Throws UsageError. */
function parsePolicySource(values: Values): { source: PolicySource; remarks: string[] } {
  const list = (name: string): readonly string[] => values.get(name) ?? [];
  const isOn = (name: string): boolean => list(name)[0] === 'true';
  const { rules, remarks } = parseFlagRules({
    cidr: list('cidr'),
    denyCidr: list('deny-cidr'),
    cn: list('cn'),
    name: list('name'),
    denyName: list('deny-name'),
    port: list('port'),
  });
  const dns = DNS_MODES.find((mode) => mode === list('dns')[0]);
  const shaping = parseShaping(values);
  const labels = list('label').map(parseLabel);
  const line: CommandLinePolicy = {
    subjects: parseSubjects(values),
    rules,
    ...(dns && { dns }),
    defaultDns: 'open',
    audit: isOn('audit'),
    allowPrivateAnswers: isOn('allow-private-answers'),
    ...(shaping && { shaping }),
    ...(values.has('inbound') && { inbound: mergePorts(list('inbound').flatMap(parseInbound)) }),
  };
  const context = {
    ...(labels.length > 0 && { labels: new Map(labels.map(({ key, value }) => [key, value])) }),
    ...(values.has('network') && { networks: list('network') }),
  };
  return {
    source: {
      line,
      files: list('policy'),
      presets: [...new Set(list('preset'))],
      lenient: isOn('lenient'),
      context,
      isModeGiven: ['mode', 'cgroup', 'container'].some((name) => values.has(name)),
    },
    remarks,
  };
}

function parseShaping(values: Values): Shaping | undefined {
  const [rate, ceil] = ['rate', 'ceil'].map((name) => {
    const text = values.get(name)?.[0];
    return text === undefined ? undefined : parseRate(text, `-${name}`);
  });
  if (rate !== undefined) return makeShaping(rate, ceil);
  if (ceil !== undefined) throw new UsageError('-ceil needs -rate: what is there without borrowing');
  return undefined;
}

/* Whom flags are for: cgroups and containers where any is named, else all behind the interfaces. */
function parseSubjects(values: Values): Subject[] {
  const cgroups = values.get('cgroup') ?? [];
  const containers = values.get('container') ?? [];
  const named = [...cgroups, ...containers];
  const mode = values.get('mode')?.[0];
  if (mode === 'tc' && named.length > 0) {
    const flag = cgroups.length > 0 ? 'cgroup' : 'container';
    throw new UsageError(`-${flag} "${named[0]}" is for -mode=cgroup only`);
  }
  // A label alone says which containers; beside interfaces or cgroups it is what selectors look at.
  const isByInterface = mode === 'tc' || values.has('iface') || values.has('eface');
  const labels = named.length > 0 || isByInterface ? [] : (values.get('label') ?? []);
  const subjects = [
    ...cgroups.map(parseCgroup),
    ...containers.map(parseContainer),
    ...labels.map(parseLabel),
  ];
  if (subjects.length === 0) {
    if (mode !== 'cgroup') return [{ kind: 'host' }];
    throw new UsageError(
      '-mode=cgroup needs -cgroup (a path, unit:NAME or pid:NUMBER), -container or -label: say which',
    );
  }
  // Rates are kept on interfaces, so one may be named for them.
  const onInterface = values.has('rate') || values.has('policy') ? ['iface'] : ['iface', 'eface'];
  const stray = onInterface.find((name) => values.has(name));
  if (stray === undefined) return subjects;
  throw new UsageError(`-${stray} is for -mode=tc only: a cgroup is controlled on all interfaces`);
}

function parseInterfaces(name: 'iface' | 'eface', texts: readonly string[]): string[] {
  return [...new Set(texts.map((text) => parseInterface(name, text)))];
}

/** As the kernel takes names (dev_valid_name). */
function parseInterface(name: 'iface' | 'eface', text: string): string {
  const isLegal = /^[^\s/:]+$/u.test(text) && text !== '.' && text !== '..';
  if (text === '*' && name === 'iface')
    throw new UsageError(`-iface "*" is not legal: "*" is for -eface only`);
  if (isLegal && new TextEncoder().encode(text).length <= 15) return text;
  throw new UsageError(
    `-${name} "${text}" is no interface name: 1 to 15 bytes without "/", ":" and white space are legal`,
  );
}

function parseInstance(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/u.test(text)) return text;
  throw new UsageError(
    `instance "${text}" is no legal name: 1 to 32 letters, digits, "_" or "-", the first a letter or digit`,
  );
}

function parseInbound(text: string): PortRange[] {
  if (text === 'icmp')
    throw new UsageError('-inbound "icmp" has no ports: 22, 22/tcp or 8000-8100/udp is legal');
  return parsePort(text);
}

function netnsOf(values: Values): { netns?: Netns } {
  const text = values.get('netns')?.[0];
  return text === undefined ? {} : { netns: parseNetns(text) };
}

function parseNetns(text: string): Netns {
  const [, pid] = /^pid:(.*)$/su.exec(text) ?? [];
  if (pid !== undefined && /^[1-9]\d{0,6}$/u.test(pid)) return { kind: 'pid', pid: Number(pid) };
  const isPlain = pid === undefined && !text.includes('\0');
  if (isPlain && text.includes('/')) return { kind: 'path', path: text };
  if (isPlain && /^\S+$/u.test(text) && text !== '.' && text !== '..') return { kind: 'name', name: text };
  throw new UsageError(
    `netns "${text}" is not legal: a name below /run/netns, a path, or pid: and a process id is`,
  );
}
