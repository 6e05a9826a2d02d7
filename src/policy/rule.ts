import { UsageError } from '../errors.ts';
import { mergePorts, NO_DNS_PORTS, type PortRange } from './port.ts';
import { isByAddress, parseWho, type Who, whoText } from './who.ts';

/**
 * What a rule does. `deny` beats all others; of names it refuses the lookup and gives no lease. `audit` lets pass what
 * nothing else allows, and reports it as what would be refused. `lookup`, of names only, lets them be looked up where
 * -dns=strict would refuse that, and gives no lease.
 */
export type Action = 'allow' | 'deny' | 'audit' | 'lookup';

const ACTIONS: readonly Action[] = ['allow', 'deny', 'audit', 'lookup'];

/**
 * One rule. `ports` limits it, empty = every protocol and port; `source` is what its owner calls it: the flag, such
 * as `-cn=.gitlab.com`, or its name in a policy file. It names the rule in events.
 */
export interface Rule {
  readonly who: Who;
  readonly action: Action;
  readonly ports: readonly PortRange[];
  readonly source: string;
  /** The policy of a file that it is of; absent: of the flags. */
  readonly policy?: string;
}

/** How lookups at trusted resolvers are treated: any name, or only those that a rule lists. */
export type DnsMode = 'open' | 'strict';

/** Whether packets pass by the rule, with a report or without. */
export function letsPass({ action }: Pick<Rule, 'action'>): boolean {
  return action === 'allow' || action === 'audit';
}

/** Whether answers to the rule's names are learned. */
export function takesLeases(rule: Rule): boolean {
  return letsPass(rule) && !isByAddress(rule.who);
}

/**
 * The ports of a rule as they are in force. Under strict DNS a rule has to name a port of DNS for it to pass:
 * otherwise any listed host could be asked for names that are not.
 */
export function portsInForce(rule: Rule, dns: DnsMode): readonly PortRange[] {
  return dns === 'strict' && letsPass(rule) && rule.ports.length === 0 ? NO_DNS_PORTS : rule.ports;
}

/** A text that is the same for rules that say the same, whoever wrote them; rule ids are kept by it. */
export function canonicalRule(rule: Rule): string {
  return `${rule.action} ${rule.who.kind} ${whoText(rule.who)} ${portsText(rule.ports)}`;
}

/* Rules that are written together have one list of ports, and there may be a hundred thousand of them. */
const PORT_TEXTS = new WeakMap<readonly PortRange[], string>();

function portsText(ports: readonly PortRange[]): string {
  const known = PORT_TEXTS.get(ports);
  if (known !== undefined) return known;
  const texts = mergePorts(ports).map(({ l4Proto, low, high }) => `${l4Proto}/${low}-${high}`);
  const text = texts.join(',') || 'any';
  PORT_TEXTS.set(ports, text);
  return text;
}

/** The rule of a canonical text, with the source that goes with it. Throws UsageError for any other text. */
export function parseCanonicalRule(canonical: string, source: string): Rule {
  const [action, kind = '', text, ports, ...more] = canonical.split(' ');
  const known = ACTIONS.find((each) => each === action);
  const who = text === undefined ? undefined : parseWho(kind, text);
  if (!known || !who || !ports || more.length > 0)
    throw new UsageError(`"${canonical}" is no canonical rule`);
  return { who, action: known, ports: ports === 'any' ? [] : ports.split(',').map(parseRange), source };
}

function parseRange(text: string): PortRange {
  const [, l4Proto, low, high] = /^(\d+)\/(\d+)-(\d+)$/u.exec(text) ?? [];
  if (high === undefined) throw new UsageError(`"${text}" is no canonical range of ports`);
  return { l4Proto: Number(l4Proto), low: Number(low), high: Number(high) };
}

/** Rules without those that an earlier one says already, by the first's source. `remark` gets a sentence on each. */
export function dropRepeated(rules: readonly Rule[], remark: (text: string) => void): Rule[] {
  const kept = new Map<string, Rule>();
  for (const rule of rules) {
    const key = canonicalRule(rule);
    const first = kept.get(key);
    if (first) remark(`"${rule.source}" says the same as "${first.source}": taken once`);
    else kept.set(key, rule);
  }
  return [...kept.values()];
}
