import { readFileSync } from 'node:fs';
import type { Handler } from '../control/server.ts';
import { formatAddress } from '../flow/address.ts';
import { listAddresses } from '../netlink/addresses.ts';
import type { SubjectPolicy } from '../policy/policy.ts';
import { portText } from '../policy/port.ts';
import { parseAddress } from '../policy/prefix.ts';
import { canonicalRule } from '../policy/rule.ts';
import { formatRate } from '../policy/shaping.ts';
import { subjectText } from '../policy/subject.ts';
import { type Denial, type Enforcing, endLine, type SubjectInForce } from '../suggest/seen.ts';
import type { SeenTargets } from '../suggest/seen-targets.ts';
import type { NameBook } from './book.ts';
import { LineSender } from './line-sender.ts';
import type { EnforceOptions } from './options.ts';
import { formatResolver } from './resolvers.ts';
import type { Trust } from './trust.ts';

/** What `suggest` is answered from. */
export interface Suggestible {
  readonly seen: SeenTargets;
  readonly startedMs: number;
  readonly inForce: {
    readonly options: EnforceOptions;
    readonly adopts: boolean;
    readonly trust: Pick<Trust, 'host'>;
  };
  readonly policies: readonly SubjectPolicy[];
  /** Handles what has happened by now. */
  drain(): void;
  readonly book: NameBook;
}

/** Lists that are made at a time. */
const MAX_AT_ONCE = 4;
/** How long a reader may take no more before it gets no more. */
const READER_LIMIT_MS = 60_000;
/** How long the process that asked may take to explain what it got. */
const EXPLAIN_LIMIT_MS = 10_000;
const DEFAULT_EPHEMERAL_FROM = 32_768;

/**
 * Answers with what was seen since the start, a line of JSON each: this enforcer first, `endLine` last. The process that
 * asks, `pid`, may look up reverse names to explain the answer until it closes the connection: these are not seen.
 */
export function answerSuggest(source: Suggestible): Handler {
  let running = 0;
  return async (request, answer) => {
    if (running >= MAX_AT_ONCE) throw new Error(`${MAX_AT_ONCE} lists are being made already: ask again`);
    const pid = request.get('pid');
    const ignored = typeof pid === 'number' ? source.seen.ignore(pid) : undefined;
    running += 1;
    try {
      source.drain();
      const sender = new LineSender(answer, READER_LIMIT_MS);
      if (await sender.sendAll(linesOf(source))) {
        answer.send(`${endLine(sender.sent)}\n`);
        if (ignored) await sender.onceClosed(EXPLAIN_LIMIT_MS);
      }
      answer.end();
      source.drain();
    } finally {
      running -= 1;
      ignored?.[Symbol.dispose]();
    }
  };
}

function* linesOf(source: Suggestible): Generator<object | undefined> {
  yield { ...describeEnforcer(source), ...source.seen.counts };
  yield* source.seen.lines((address) => source.book.namesOf(parseAddress(address)));
  for (const each of source.policies) yield* denialsOf(each);
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

function* denialsOf({ subject, policy }: SubjectPolicy): Generator<Denial | undefined> {
  for (const rule of policy.rules)
    yield rule.action === 'deny'
      ? { kind: 'denial', subject: subjectText(subject), rule: canonicalRule(rule), source: rule.source }
      : undefined;
}
