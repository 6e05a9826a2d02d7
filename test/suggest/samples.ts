import type { DnsEvent, FlowEvent } from '../../src/flow/event.ts';
import { Protocol } from '../../src/flow/protocol.ts';
import { draftSuggestions, type Wish } from '../../src/suggest/draft.ts';
import { parseSeen } from '../../src/suggest/parse-seen.ts';
import { renderDraft } from '../../src/suggest/render-draft.ts';
import {
  type Denial,
  type Enforcing,
  endLine,
  type Seen,
  type SeenFlow,
  type SeenLookup,
  type SubjectInForce,
} from '../../src/suggest/seen.ts';
import { FLOW, LOOKUP, TIME_MS } from '../flow/events.ts';

/** An audited policy of the host without rules. */
export const HOST: SubjectInForce = {
  subject: 'host',
  policies: ['flags'],
  dns: 'open',
  audit: true,
  allowPrivateAnswers: false,
};

/** An enforcer of one interface. */
export const ENFORCING: Enforcing = {
  instance: 'default',
  startedMs: TIME_MS,
  adopted: false,
  isRun: false,
  ifaces: ['eth0'],
  efaces: ['eth0'],
  resolvers: ['192.0.2.53'],
  areResolversGiven: false,
  ownAddresses: ['192.0.2.2'],
  subjects: [HOST],
};

/** Nothing. */
export const NOTHING: Seen = { flows: [], lookups: [], unread: [], missing: [], others: 0, lost: 0 };

const SEEN_ONCE = { subject: 'host', fate: 'passed', count: 1, firstMs: TIME_MS, lastMs: TIME_MS } as const;

/** A flow that passed over TCP, of a name where one is given. */
export function flowTo(address: string, port: number, name?: string, more: Partial<SeenFlow> = {}): SeenFlow {
  return {
    kind: 'flow',
    ...SEEN_ONCE,
    way: 'call',
    l4Proto: Protocol.tcp,
    port,
    ...(name !== undefined && { name }),
    addresses: [address],
    hasMore: false,
    reasons: ['no-rule'],
    ...more,
  };
}

/** A lookup that passed. */
export function lookupOf(name: string, more: Partial<SeenLookup> = {}): SeenLookup {
  return { kind: 'lookup', ...SEEN_ONCE, name, ...more };
}

/** A flow event to a target; without names as one that nobody looked up. */
export function flowEvent(
  dst: string,
  dport: number,
  more: Partial<FlowEvent> & { readonly proto?: string; readonly sport?: number } = {},
): FlowEvent {
  const { proto = 'tcp', sport = 40_000, ...event } = more;
  const family = dst.includes(':') ? 'ipv6' : 'ipv4';
  return {
    ...FLOW,
    verdict: 'would_deny',
    reason: 'no-rule',
    subject: 'host',
    names: [],
    leases: [],
    packet: { family, proto, src: family === 'ipv4' ? '192.0.2.2' : '2001:db8::2', sport, dst, dport },
    ...event,
  };
}

/** A lookup event. */
export function lookupEvent(qname: string, more: Partial<DnsEvent> = {}): DnsEvent {
  return { ...LOOKUP, verdict: 'would_deny', subject: 'host', qname, ...more };
}

/** The text of a list, from what was seen; `more` is what differs from `HOST` and `ENFORCING`. */
export function listOf(
  seen: Partial<Seen>,
  wish: Wish,
  more: {
    readonly inForce?: Partial<SubjectInForce>;
    readonly enforcing?: Partial<Enforcing>;
    readonly reverse?: ReadonlyMap<string, string>;
    readonly denials?: readonly Omit<Denial, 'kind' | 'subject'>[];
  } = {},
): string {
  const subjects = [{ ...HOST, ...more.inForce }];
  const enforcing = { ...ENFORCING, subjects, ...more.enforcing };
  const denials = (more.denials ?? []).map(
    (each): Denial => ({ kind: 'denial', subject: subjects[0]?.subject ?? '', ...each }),
  );
  const answer = parseSeen(linesOf({ ...NOTHING, ...seen }, enforcing, denials));
  return renderDraft(draftSuggestions(answer, wish), more.reverse ?? new Map());
}

/** What an enforcer answers. */
export function linesOf(
  { flows, lookups, unread, missing, others, lost }: Seen,
  enforcing: Enforcing,
  denials: readonly Denial[] = [],
): string[] {
  const lines = [...flows, ...lookups, ...unread, ...missing, ...denials];
  const told = [{ ...enforcing, others, lost }, ...lines].map((each) => JSON.stringify(each));
  return [...told, endLine(told.length)];
}

/** The lines of a list that are no remarks. */
export function bodyOf(text: string): string {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .trim();
}

/** Its remarks. */
export function remarksOf(text: string): string[] {
  return text.split('\n').flatMap((line) => (line.startsWith('# ') ? line.slice(2) : []));
}
