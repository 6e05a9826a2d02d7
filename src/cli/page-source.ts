import type { Enforcer } from '../enforcer/enforcer.ts';
import { formatResolver } from '../enforcer/resolvers.ts';
import type { PageSource } from '../page/page-server.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { subjectText } from '../policy/subject.ts';
import { ruleOfFlags } from '../view/remedy.ts';
import type { SubjectState } from '../view/state.ts';

/** What the page shows of an enforcer: its events, and what is in force when it is asked. */
export function pageSource(enforcer: Enforcer): PageSource {
  const { options, trust } = enforcer.inForce;
  const startedMs = Date.now();
  return {
    feed: enforcer.feed,
    state: () => ({
      instance: options.instance,
      pid: process.pid,
      startedMs,
      subjects: enforcer.policies.map(describe),
      resolvers: trust.host.map(formatResolver),
    }),
  };
}

function describe({ subject, policy, names }: SubjectPolicy): SubjectState {
  const { audit, dns, rules } = policy;
  const flagRule = ruleOfFlags(rules);
  return {
    subject: subjectText(subject),
    audit,
    dns,
    policies: names,
    rules: rules.length,
    // Not the rule itself: it may be one of a hundred thousand, with a prefix of bytes.
    ...(flagRule && {
      flagRule: { action: flagRule.action, source: flagRule.source, ports: flagRule.ports },
    }),
  };
}
