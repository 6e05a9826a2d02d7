import { readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Answer } from '../control/server.ts';
import { formatAddress } from '../flow/address.ts';
import { listAddresses } from '../netlink/addresses.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { portText } from '../policy/port.ts';
import { parseAddress } from '../policy/prefix.ts';
import { canonicalRule } from '../policy/rule.ts';
import { formatRate } from '../policy/shaping.ts';
import { subjectText } from '../policy/subject.ts';
import type { Denial, Enforcing, SubjectInForce } from '../suggest/seen.ts';
import type { SeenTargets } from '../suggest/seen-targets.ts';
import type { NameBook } from './book.ts';
import type { EnforceOptions } from './options.ts';
import { formatResolver } from './resolvers.ts';
import type { Trust } from './trust.ts';

/** What `suggest` is answered from. */
export interface Suggestible {
  readonly seen: SeenTargets;
  readonly startedMs: number;
  readonly inForce: { readonly options: EnforceOptions; readonly adopts: boolean; readonly trust: Trust };
  readonly policies: readonly SubjectPolicy[];
  /** Handles what has happened by now. */
  drain(): void;
  readonly book: NameBook;
}

const LINES_AT_ONCE = 1_000;
const DEFAULT_EPHEMERAL_FROM = 32_768;

/**
 * Answers with what was seen since the start, a line of JSON each: this enforcer first, with how many lines follow. The
 * process that asks, `pid`, is not seen: it looks up names only to explain the answer.
 */
export async function answerSuggest(
  source: Suggestible,
  request: ReadonlyMap<string, unknown>,
  answer: Answer,
): Promise<void> {
  source.drain();
  const pid = request.get('pid');
  if (typeof pid === 'number') source.seen.ignore(pid);
  const { flows, lookups, unread, others, lost } = source.seen.list((address) =>
    source.book.namesOf(parseAddress(address)),
  );
  const denials = source.policies.flatMap(denialsOf);
  const lines = [...flows, ...lookups, ...unread, ...denials];
  answer.send(`${JSON.stringify({ ...describeEnforcer(source), others, lost, lines: lines.length })}\n`);
  // Events go on meanwhile.
  for (let at = 0; at < lines.length; at += LINES_AT_ONCE) {
    const some = lines.slice(at, at + LINES_AT_ONCE);
    answer.send(some.map((each) => `${JSON.stringify(each)}\n`).join(''));
    await nextTurn();
  }
  answer.end();
}

/** The lowest local port that the kernel gives to a socket which asks for none. */
export function readEphemeralFrom(): number {
  try {
    const [low] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1').split(/\s/u);
    return Number(low) || DEFAULT_EPHEMERAL_FROM;
  } catch {
    return DEFAULT_EPHEMERAL_FROM; // no /proc/sys here
  }
}

function describeEnforcer({ startedMs, inForce, policies }: Suggestible): Enforcing {
  const { options, adopts, trust } = inForce;
  return {
    instance: options.instance,
    startedMs,
    adopted: adopts,
    isRun: options.ownCgroup !== undefined,
    ...(options.netns !== undefined && { netns: options.netns }),
    ifaces: options.learning,
    efaces: options.enforced,
    resolvers: trust.host.map(formatResolver),
    areResolversGiven: options.resolvers.length > 0,
    ownAddresses: listAddresses().map(({ address }) => formatAddress(address)),
    subjects: policies.map(describeSubject),
  };
}

function describeSubject({ subject, policy, names, shaping }: SubjectPolicy): SubjectInForce {
  const { dns, audit, allowPrivateAnswers, inbound } = policy;
  return {
    subject: subjectText(subject),
    policies: names,
    dns,
    audit,
    allowPrivateAnswers,
    ...(inbound !== 'all' && { inbound: inbound.map(portText) }),
    ...(shaping && { rate: formatRate(shaping.rateBitsPerSecond) }),
    ...(shaping?.ceilBitsPerSecond !== undefined && { ceil: formatRate(shaping.ceilBitsPerSecond) }),
  };
}

function denialsOf({ subject, policy }: SubjectPolicy): Denial[] {
  return policy.rules.flatMap((rule) =>
    rule.action === 'deny'
      ? [{ kind: 'denial', subject: subjectText(subject), rule: canonicalRule(rule), source: rule.source }]
      : [],
  );
}
