import { HOST_POLICY } from '../../src/datapath/compile.ts';
import type { CompiledPolicy, Shares } from '../../src/datapath/compiled-policy.ts';
import { placeShares } from '../../src/datapath/lease-shares.ts';
import { compileNames } from '../../src/policy/compile-names.ts';
import { compilePrefixes } from '../../src/policy/compile-prefixes.ts';
import { parsePattern, parseSuffix } from '../../src/policy/name.ts';
import { parsePort } from '../../src/policy/port.ts';
import { parsePrefix } from '../../src/policy/prefix.ts';
import type { Action } from '../../src/policy/rule.ts';
import type { Who } from '../../src/policy/who.ts';

/**
 * One rule: exactly one of what it may speak of. `ports` as `-port` takes them, and `icmp:TYPE`; none = everything.
 * `share` is how many leases a name rule may hold.
 */
export interface RuleSpec {
  readonly any?: boolean;
  readonly cidr?: string;
  /** Of the prefix. */
  readonly except?: readonly string[];
  readonly denyCidr?: string;
  readonly cn?: string;
  readonly name?: string;
  readonly denyName?: string;
  readonly ports?: readonly string[];
  readonly share?: number;
  readonly audit?: boolean;
  readonly lookup?: boolean;
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
      who: whoOf(spec),
      action: actionOf(spec),
      ports: portsOf(spec),
      source: `rule ${id}`,
    },
  }));
  const lengths = specs.map(({ id, spec }) => ({
    id,
    ports: portsOf(spec),
    privateAnswers: spec.privateAnswers ?? false,
    audit: spec.audit ?? false,
    ringLength:
      !spec.lookup && (spec.cn !== undefined || spec.name !== undefined) ? (spec.share ?? SHARE) : 0,
  }));
  return {
    subjects: [
      {
        policyId: HOST_POLICY,
        names: compileNames(numbered),
        prefixes: compilePrefixes(numbered),
        strictDns: strict,
        audit,
        denyNames: specs.some(({ spec }) => spec.denyName !== undefined),
        inbound: inbound?.flatMap(parsePort) ?? 'all',
      },
    ],
    rules: placeShares(lengths, before),
    sharesBefore: before,
    dnsPorts,
    nextRuleId: Math.max(0, ...specs.map(({ id }) => id)) + 1,
  };
}

function whoOf({ any, cidr, denyCidr, except, cn, name, denyName }: RuleSpec): Who {
  if (any) return { kind: 'any' };
  const prefix = cidr ?? denyCidr;
  if (prefix !== undefined)
    return {
      kind: 'prefix',
      prefix: parsePrefix(prefix).prefix,
      except: (except ?? []).map((text) => parsePrefix(text).prefix),
    };
  if (cn !== undefined) return parseSuffix(cn);
  const pattern = name ?? denyName;
  if (pattern === undefined) throw new RangeError('a rule needs somebody to speak of');
  return parsePattern(pattern);
}

function actionOf({ denyCidr, denyName, audit, lookup }: RuleSpec): Action {
  if (denyCidr !== undefined || denyName !== undefined) return 'deny';
  return audit ? 'audit' : lookup ? 'lookup' : 'allow';
}

function portsOf({ ports = [] }: RuleSpec) {
  return ports.flatMap((text) => {
    const [, icmpType] = /^icmp:(\d+)$/u.exec(text) ?? [];
    if (icmpType === undefined) return parsePort(text);
    return [{ l4Proto: 1, low: Number(icmpType), high: Number(icmpType) }];
  });
}
