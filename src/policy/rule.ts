import { UsageError } from '../errors.ts';
import { type NameMatch, parsePattern, parseSuffix } from './name.ts';
import { MAX_PORTS, mergePorts, NO_DNS_PORTS, type PortRange, parsePort } from './port.ts';
import { type Prefix, parsePrefix } from './prefix.ts';

/** What a rule speaks of: addresses, or names whose answers teach addresses. */
export type RuleSubject = { readonly kind: 'prefix'; readonly prefix: Prefix } | NameMatch;

/**
 * One rule. `ports` limits it, empty = every protocol and port; `source` is the text its owner gave,
 * such as `-cn=.gitlab.com`, and names it in events. A deny rule for names refuses lookups only.
 */
export interface Rule {
  readonly who: RuleSubject;
  readonly action: 'allow' | 'deny';
  readonly ports: readonly PortRange[];
  readonly source: string;
}

/** How lookups at trusted resolvers are treated: any name, or only those that a rule allows. */
export type DnsMode = 'open' | 'strict';

/** The settings of a policy besides its rules. */
export interface PolicySettings {
  readonly dns: DnsMode;
  readonly audit: boolean;
  readonly allowPrivateAnswers: boolean;
  readonly noInbound: boolean;
}

/** All that is to be in force for one subject. No two rules have the same canonical text. */
export interface Policy extends PolicySettings {
  readonly rules: readonly Rule[];
}

/** The values of the policy flags, lists split into their items. */
export interface PolicyFlags extends PolicySettings {
  readonly cidr: readonly string[];
  readonly denyCidr: readonly string[];
  readonly cn: readonly string[];
  readonly name: readonly string[];
  readonly denyName: readonly string[];
  readonly port: readonly string[];
}

interface Parsed {
  readonly who: RuleSubject;
  readonly warning?: string;
}

/**
 * Parses the policy flags. Rules that say the same are taken once, by their first source. `remarks` are
 * sentences for the owner: masked prefixes, rules given twice. Throws UsageError.
 */
export function buildPolicy(flags: PolicyFlags): { policy: Policy; remarks: string[] } {
  const ports = parsePorts(flags.port);
  const rules = new Map<string, Rule>();
  const remarks: string[] = [];
  const add = (
    flag: string,
    texts: readonly string[],
    action: Rule['action'],
    parse: (text: string) => Parsed,
  ): void => {
    for (const text of texts) {
      const { who, warning } = parse(text);
      const rule: Rule = { who, action, ports: action === 'allow' ? ports : [], source: `-${flag}=${text}` };
      if (warning !== undefined) remarks.push(`-${flag}: ${warning}`);
      const key = canonicalRule(rule);
      const first = rules.get(key);
      if (first) remarks.push(`"${rule.source}" says the same as "${first.source}": taken once`);
      else rules.set(key, rule);
    }
  };
  add('cidr', flags.cidr, 'allow', parsePrefixSubject);
  add('cn', flags.cn, 'allow', (text) => ({ who: parseSuffix(text) }));
  add('name', flags.name, 'allow', (text) => ({ who: parsePattern(text) }));
  add('deny-cidr', flags.denyCidr, 'deny', parsePrefixSubject);
  add('deny-name', flags.denyName, 'deny', (text) => ({ who: parsePattern(text) }));
  const { dns, audit, allowPrivateAnswers, noInbound } = flags;
  return { policy: { rules: [...rules.values()], dns, audit, allowPrivateAnswers, noInbound }, remarks };
}

/**
 * The ports of a rule as they are in force. Under strict DNS an allow rule has to name a port of DNS for it to pass:
 * otherwise any listed host could be asked for names that are not.
 */
export function portsInForce(rule: Rule, dns: DnsMode): readonly PortRange[] {
  return dns === 'strict' && rule.action === 'allow' && rule.ports.length === 0 ? NO_DNS_PORTS : rule.ports;
}

/** A text that is the same for rules that say the same, whoever wrote them; rule ids are kept by it. */
export function canonicalRule(rule: Rule): string {
  const ports = mergePorts(rule.ports).map(({ l4Proto, low, high }) => `${l4Proto}/${low}-${high}`);
  return `${rule.action} ${rule.who.kind} ${subjectText(rule.who)} ${ports.join(',') || 'any'}`;
}

/** The rule of a canonical text, with the source that goes with it. Throws UsageError for any other text. */
export function parseCanonicalRule(canonical: string, source: string): Rule {
  const [, action, kind, subject, ports] =
    /^(allow|deny) (prefix|suffix|exact|pattern) (\S+) (\S+)$/u.exec(canonical) ?? [];
  if (subject === undefined || ports === undefined)
    throw new UsageError(`"${canonical}" is no canonical rule`);
  return {
    who: parseCanonicalSubject(kind ?? '', subject),
    action: action === 'deny' ? 'deny' : 'allow',
    ports: ports === 'any' ? [] : ports.split(',').map(parseCanonicalPorts),
    source,
  };
}

function parseCanonicalSubject(kind: string, text: string): RuleSubject {
  switch (kind) {
    case 'prefix':
      return { kind: 'prefix', prefix: parsePrefix(text).prefix };
    case 'suffix':
      return { kind: 'suffix', suffix: text };
    case 'exact':
      return { kind: 'exact', name: text };
    default:
      return { kind: 'pattern', pattern: text };
  }
}

function parseCanonicalPorts(text: string): PortRange {
  const [, l4Proto, low, high] = /^(\d+)\/(\d+)-(\d+)$/u.exec(text) ?? [];
  if (high === undefined) throw new UsageError(`"${text}" is no canonical range of ports`);
  return { l4Proto: Number(l4Proto), low: Number(low), high: Number(high) };
}

/** The canonical text of what a rule speaks of: `10.0.0.0/8`, `.example.com`, `*.example.com`. */
export function subjectText(who: RuleSubject): string {
  switch (who.kind) {
    case 'prefix':
      return who.prefix.text;
    case 'suffix':
      return who.suffix;
    case 'exact':
      return who.name;
    case 'pattern':
      return who.pattern;
    default:
      return who satisfies never;
  }
}

function parsePrefixSubject(text: string): Parsed {
  const { prefix, ...rest } = parsePrefix(text);
  return { who: { kind: 'prefix', prefix }, ...rest };
}

function parsePorts(texts: readonly string[]): PortRange[] {
  const ports = mergePorts(texts.flatMap(parsePort));
  if (ports.length <= MAX_PORTS) return ports;
  throw new UsageError(
    `-port "${texts.join(',')}" makes ${ports.length} ranges of ports: at most ${MAX_PORTS} are legal, and a port without protocol makes two`,
  );
}
