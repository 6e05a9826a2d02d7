import { HOST_POLICY } from '../../src/datapath/compile.ts';
import type { CompiledPolicy, Shares } from '../../src/datapath/compiled-policy.ts';
import { placeShares } from '../../src/datapath/lease-shares.ts';
import { compileNames } from '../../src/policy/compile-names.ts';
import { compilePrefixes } from '../../src/policy/compile-prefixes.ts';
import { parsePattern, parseSuffix } from '../../src/policy/name.ts';
import { parsePort } from '../../src/policy/port.ts';
import { parsePrefix } from '../../src/policy/prefix.ts';
import type { RuleSubject } from '../../src/policy/rule.ts';

/**
 * One rule: exactly one of its subjects. `ports` as `-port` takes them, and `icmp:TYPE`; none = everything.
 * `share` is how many leases a name rule may hold.
 */
export interface RuleSpec {
  readonly cidr?: string;
  readonly denyCidr?: string;
  readonly cn?: string;
  readonly name?: string;
  readonly denyName?: string;
  readonly ports?: readonly string[];
  readonly share?: number;
  readonly privateAnswers?: boolean;
}

/** Rules by the id that they have in the kernel, and the settings of the policy. */
export interface PolicySpec {
  readonly rules?: { readonly [id: number]: RuleSpec };
  readonly strict?: boolean;
  readonly audit?: boolean;
  readonly dnsPorts?: readonly number[];
  /** As `-inbound` takes them; absent = calls are taken on all local ports. */
  readonly inbound?: readonly string[];
}

const SHARE = 1024;

/** The policy as a slot holds it; `before` are the shares of the policy in force. */
export function compile(
  { rules = {}, strict = false, audit = false, dnsPorts = [53], inbound }: PolicySpec,
  before: Shares = new Map(),
): CompiledPolicy {
  const specs = Object.entries(rules).map(([id, spec]) => ({ id: Number(id), spec }));
  const numbered = specs.map(({ id, spec }) => ({
    id,
    rule: {
      who: subjectOf(spec),
      action: isDeny(spec) ? ('deny' as const) : ('allow' as const),
      ports: portsOf(spec),
      source: `rule ${id}`,
    },
  }));
  const lengths = specs.map(({ id, spec }) => ({
    id,
    ports: portsOf(spec),
    privateAnswers: spec.privateAnswers ?? false,
    ringLength: spec.cn !== undefined || spec.name !== undefined ? (spec.share ?? SHARE) : 0,
  }));
  return {
    policyId: HOST_POLICY,
    rules: placeShares(lengths, before),
    sharesBefore: before,
    names: compileNames(numbered),
    prefixes: compilePrefixes(numbered),
    strictDns: strict,
    audit,
    denyNames: specs.some(({ spec }) => spec.denyName !== undefined),
    ...(inbound && { inboundPorts: inbound.flatMap(parsePort) }),
    dnsPorts,
    nextRuleId: Math.max(0, ...specs.map(({ id }) => id)) + 1,
  };
}

function subjectOf({ cidr, denyCidr, cn, name, denyName }: RuleSpec): RuleSubject {
  const prefix = cidr ?? denyCidr;
  if (prefix !== undefined) return { kind: 'prefix', prefix: parsePrefix(prefix).prefix };
  if (cn !== undefined) return parseSuffix(cn);
  const pattern = name ?? denyName;
  if (pattern === undefined) throw new RangeError('a rule needs a subject');
  return parsePattern(pattern);
}

function isDeny({ denyCidr, denyName }: RuleSpec): boolean {
  return denyCidr !== undefined || denyName !== undefined;
}

function portsOf({ ports = [] }: RuleSpec) {
  return ports.flatMap((text) => {
    const [, icmpType] = /^icmp:(\d+)$/u.exec(text) ?? [];
    if (icmpType === undefined) return parsePort(text);
    return [{ l4Proto: 1, low: Number(icmpType), high: Number(icmpType) }];
  });
}
