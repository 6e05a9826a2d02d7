import { UsageError } from '../errors.ts';
import { COMMAND_NAMES, type Command } from './commands.ts';
import type { FlagShape, Normalised } from './normalise.ts';

/** One flag: its shape, and what `-help` and the README say of it. */
export interface FlagSpec extends FlagShape {
  /** Stands for the value in help; empty where there is none. */
  readonly placeholder: string;
  readonly meaning: string;
  readonly commands: readonly Command[];
}

/** The instance that is meant where none is named. */
export const DEFAULT_INSTANCE = 'default';
/** Legal values of -dns. */
export const DNS_MODES = ['open', 'strict'] as const;
/** Legal values of -log. */
export const LOG_FORMATS = ['text', 'json'] as const;
const MODES = ['tc', 'cgroup'] as const;
/** Those that read policy files. */
const READERS: readonly Command[] = ['enforce', 'run', 'check', 'explain'];
/** Those that tell of events, and take filters for them. */
const OBSERVERS: readonly Command[] = ['observe', 'watch'];
/** Legal values of -o. */
export const EVENT_FORMATS = ['compact', 'dict', 'table', 'json'] as const;
/** Legal values of -format. */
export const SUGGESTION_FORMATS = ['flags', 'l7egg', 'cilium', 'networkpolicy'] as const;
/** Those that put rules of flags in force. */
const RULERS: readonly Command[] = ['enforce', 'run'];

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
  flag('wait', 'boolean', '', 'wait for interfaces, cgroups and units that are not there yet'),
  flag(
    'force',
    'boolean',
    '',
    'start even if that cuts the session that starts it; replace a foreign root qdisc',
  ),
  flag(
    'metrics',
    'value',
    'HOST:PORT',
    'metrics for Prometheus; without HOST on loopback; port 0 = a free one',
  ),
  { ...flag('log', 'choice', 'text|json', 'form of events'), choices: LOG_FORMATS },
  flag('instance', 'value', 'NAME', `name of this enforcer; default: ${DEFAULT_INSTANCE}`, COMMAND_NAMES),
  flag('subject', 'value', 'WHO', 'whose policy is asked; default: the host, or the only one', [
    'check',
    'explain',
    'suggest',
  ]),
  {
    ...flag('format', 'choice', 'FORMAT', `form of the list: ${SUGGESTION_FORMATS.join(', ')}`, ['suggest']),
    choices: SUGGESTION_FORMATS,
  },
  flag('fold', 'boolean', '', 'one suffix for three names or more under one parent', ['suggest']),
  { ...flag('f', 'boolean', '', 'go on with what comes', ['observe']), alias: 'follow' },
  { ...flag('n', 'value', 'N', 'the last N events of the past only', ['observe']), alias: 'last' },
  {
    ...flag('o', 'choice', EVENT_FORMATS.join('|'), 'form of events; default: compact', ['observe']),
    alias: 'output',
    choices: EVENT_FORMATS,
  },
  flag('verdict', 'list', 'VERDICT', 'events with this verdict: allow, deny, would_deny', OBSERVERS),
  flag('name', 'list', 'PATTERN', 'events that concern a name, or one of a pattern', OBSERVERS),
  flag('to', 'list', 'PREFIX', 'events of packets to a network or address', OBSERVERS),
  flag('port', 'list', 'PORT', 'events of packets to a port: 443, 443/tcp, 8000-8100/udp, icmp:8', OBSERVERS),
  flag('proto', 'list', 'PROTO', 'events of a protocol: tcp, udp, icmp, icmpv6, sctp, proto-47', OBSERVERS),
  flag('process', 'list', 'WHO', 'events of a process: its command, path or id', OBSERVERS),
  flag('rule', 'list', 'RULE', 'events that a rule decided', OBSERVERS),
  flag('since', 'value', 'TIME', 'what happened in the last 90s, 10m, 2h, 1d or since 2026-01-31T08:30Z', [
    ...OBSERVERS,
    'suggest',
  ]),
  flag('json', 'boolean', '', 'print JSON, of events one a line', ['status', 'observe']),
  flag('version', 'boolean', '', 'print the version', COMMAND_NAMES),
  { ...flag('help', 'boolean', '', 'print this help', COMMAND_NAMES), alias: 'h' },
];

/** Throws UsageError for a flag that the command has no use for. */
export function checkFlags(command: Command, values: Normalised['values']): void {
  const legal = FLAGS.filter((spec) => spec.commands.includes(command)).map(({ name }) => name);
  const stray = [...values.keys()].find((name) => !legal.includes(name));
  if (stray === undefined) return;
  throw new UsageError(
    `flag -${stray} is not for ${command}: ${legal.map((name) => `-${name}`).join(', ')} are legal`,
  );
}

function flag(
  name: string,
  kind: FlagSpec['kind'],
  placeholder: string,
  meaning: string,
  commands: readonly Command[] = ['enforce'],
): FlagSpec {
  return { name, kind, placeholder, meaning, commands };
}
