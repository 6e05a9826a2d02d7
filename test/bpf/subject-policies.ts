import assert from 'node:assert/strict';
import { compilePolicies, HOST_POLICY } from '../../src/datapath/compile.ts';
import { setTrusted } from '../../src/datapath/host-facts.ts';
import { applyPolicy, dropRuleStates } from '../../src/datapath/policy-slot.ts';
import { ONLY } from '../../src/datapath/state.ts';
import { writeStruct } from '../../src/datapath/struct.ts';
import { setSubjectLevels } from '../../src/datapath/subject-hooks.ts';
import { UsageError } from '../../src/errors.ts';
import { parsePattern, parseSuffix } from '../../src/policy/name.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { parsePort } from '../../src/policy/port.ts';
import { parseAddress, parsePrefix } from '../../src/policy/prefix.ts';
import type { Rule } from '../../src/policy/rule.ts';
import type { Who } from '../../src/policy/who.ts';
import type { PolicyTexts, RuleText } from '../policy/rules-evaluator.ts';
import type { Harness } from './harness.ts';
import type { OwnCgroup } from './own-cgroup.ts';

/** A policy in force, and the kernel's numbers of it. */
export interface PlacedPolicy {
  readonly policyId: number;
  readonly texts: PolicyTexts;
  /** Ids of its rules by their positions. */
  readonly ruleIds: readonly number[];
  /** At which the resolver is trusted. */
  readonly dnsPorts: readonly number[];
}

/** Far in the future, by the clock since the start. */
const NEVER_NS = 2n ** 62n;

/**
 * Puts policies in force as the enforcer does, many in one swap: the host's and those of subjects. All of them are, one
 * after the other, those of the cgroup that this process is in.
 */
export class SubjectPolicies {
  readonly #datapath: Harness;
  readonly #cgroup: OwnCgroup;
  #nextRule = 1;

  constructor(datapath: Harness, cgroup: OwnCgroup) {
    this.#datapath = datapath;
    this.#cgroup = cgroup;
    setSubjectLevels(datapath.state, [cgroup.level]);
  }

  /** In place of those before; each trusts the resolver. The first is the host's. */
  async apply(
    drawn: readonly PolicyTexts[],
    resolver: string,
    dnsPorts: readonly number[],
  ): Promise<PlacedPolicy[]> {
    const { state } = this.#datapath;
    const numbered = drawn.map((texts, index) => ({
      policyId: HOST_POLICY + index,
      policy: policyOf(texts),
    }));
    const before = { known: new Map<string, number>(), next: this.#nextRule, shares: new Map() };
    const { compiled, rules } = compilePolicies(numbered, before, dnsPorts);
    this.#nextRule = compiled.nextRuleId;
    await applyPolicy(state, compiled);
    this.#judgeSubjects();
    dropRuleStates(state, new Set(rules.map(({ id }) => id)));
    const resolvers = dnsPorts.map((port) => ({ addr16: parseAddress(resolver), port }));
    setTrusted(state, new Map(numbered.map(({ policyId }) => [policyId, resolvers])));
    return drawn.map((texts, index) => {
      const policyId = HOST_POLICY + index;
      const ruleIds = rules.filter((rule) => rule.policyId === policyId).map(({ id }) => id);
      return { policyId, texts, ruleIds, dnsPorts };
    });
  }

  /** What this process sends is judged by this policy from now on. */
  judgeBy(policyId: number): void {
    const key = Buffer.alloc(8);
    key.writeBigUInt64LE(this.#cgroup.id);
    const value = Buffer.alloc(4);
    value.writeUInt32LE(policyId);
    const subjects = this.#datapath.state.map('subject_cgroups');
    if (policyId === HOST_POLICY) subjects.delete(key);
    else subjects.set(key, value);
  }

  /*
   * Frames of IP are of a socket that looks as if the hooks of its cgroup had judged it, which the interface goes by but
   * for some seconds after each swap. Here they last.
   */
  #judgeSubjects(): void {
    const map = this.#datapath.state.map('control');
    const control = map.get(ONLY) ?? assert.fail('no control');
    writeStruct(control, 0, 'control', { unjudged_until_ns: NEVER_NS });
    map.set(ONLY, control);
  }
}

/** Whether user space takes the policy: it refuses one with too many rules for one name or address. */
export function isLegal(texts: PolicyTexts): boolean {
  const policies = [{ policyId: HOST_POLICY, policy: policyOf(texts) }];
  try {
    compilePolicies(policies, { known: new Map(), next: 1, shares: new Map() }, [53]);
    return true;
  } catch (thrown) {
    if (thrown instanceof UsageError) return false;
    throw thrown;
  }
}

function policyOf({ rules, strict, audit, privateAnswers }: PolicyTexts): Policy {
  return {
    rules: rules.map(ruleOf),
    dns: strict ? 'strict' : 'open',
    audit,
    allowPrivateAnswers: privateAnswers,
    inbound: 'all',
  };
}

function ruleOf(text: RuleText): Rule {
  const ports = text.ports.flatMap(parsePort);
  return { who: whoOf(text), action: text.action, ports, source: JSON.stringify(text) };
}

function whoOf({ cidr, except = [], cn, name }: RuleText): Who {
  if (cn !== undefined) return parseSuffix(cn);
  if (name !== undefined) return parsePattern(name);
  if (cidr === undefined) return { kind: 'any' };
  const prefixOf = (text: string) => parsePrefix(text).prefix;
  return { kind: 'prefix', prefix: prefixOf(cidr), except: except.map(prefixOf) };
}
