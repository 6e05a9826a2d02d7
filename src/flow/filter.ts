import { UsageError } from '../errors.ts';
import { matchesName, type NameMatch, parsePattern } from '../policy/name.ts';
import { matchesPort, type PortRange, parsePort } from '../policy/port.ts';
import { contains, type Prefix, parseAddress, parsePrefix } from '../policy/prefix.ts';
import type { DnsEvent, Event, FlowEvent, Packet, Process } from './event.ts';
import { protocolNumber } from './protocol.ts';
import { VERDICTS } from './reason.ts';

/**
 * Which events are wanted, in the texts of the flags of `observe`. Of one list any is enough, of different lists each
 * has to be met; an empty list is met by all. `since`: what happened from then on.
 */
export interface FilterTexts {
  readonly verdict: readonly string[];
  readonly name: readonly string[];
  readonly to: readonly string[];
  readonly port: readonly string[];
  readonly proto: readonly string[];
  readonly process: readonly string[];
  readonly rule: readonly string[];
  readonly since: readonly string[];
}

/** The names of the lists, as the flags are called. */
export const FILTERS = ['verdict', 'name', 'to', 'port', 'proto', 'process', 'rule', 'since'] as const;

/** Asks for every event. */
export const NO_FILTER: FilterTexts = {
  verdict: [],
  name: [],
  to: [],
  port: [],
  proto: [],
  process: [],
  rule: [],
  since: [],
};

/** Whether an event is wanted. */
export type Filter = (event: Event) => boolean;

type Test = (event: DnsEvent | FlowEvent) => boolean;

/** Texts in all lists: whoever asks has the enforcer look at each event with each of them. */
const MAX_TEXTS = 64;

/**
 * Parses what is asked for. A filter other than `since` lets no event of the enforcer itself through.
 * `nowMs`: what a duration in `since` counts back from. Throws UsageError.
 */
export function parseFilter(texts: FilterTexts, nowMs: number): Filter {
  const count = FILTERS.reduce((sum, name) => sum + texts[name].length, 0);
  if (count > MAX_TEXTS) throw new UsageError(`${count} filters are given: at most ${MAX_TEXTS} are legal`);
  const sinceMs = Math.max(Number.NEGATIVE_INFINITY, ...texts.since.map((text) => parseSince(text, nowMs)));
  const tests = [
    anyOf(texts.verdict, parseVerdict),
    anyOf(texts.name, parseNameTest),
    anyOf(texts.to, parseTo),
    anyOf(texts.port, parsePortTest),
    anyOf(texts.proto, parseProto),
    anyOf(texts.process, parseProcess),
    anyOf(texts.rule, parseRule),
  ].filter((test) => test !== undefined);
  return (event) => {
    if (event.timeMs < sinceMs) return false;
    if (tests.length === 0) return true;
    return (event.kind === 'flow' || event.kind === 'dns') && tests.every((test) => test(event));
  };
}

/**
 * The time since 1970, in milliseconds, that `-since` means: how long ago, `90s`, `10m`, `2h`, `1d`, or a time as
 * RFC 3339 has it, of which seconds, zone (then it is local) or all behind the day (then it is midnight) may be absent.
 * Throws UsageError.
 */
export function parseSince(text: string, nowMs: number): number {
  const [, number, unit] = /^(\d{1,9})([smhd])$/u.exec(text) ?? [];
  if (number !== undefined) return nowMs - Number(number) * (UNIT_MS.get(unit ?? '') ?? 0);
  const [, year, month, day, clock = '00:00', zone = ''] =
    /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+-]\d\d:\d\d)?)?$/u.exec(text) ??
    [];
  const timeMs = Date.parse(`${year}-${month}-${day}T${clock}${zone.toUpperCase()}`);
  // Date.parse takes the 31st of every month.
  const isDay = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day);
  if (Number.isFinite(timeMs) && isDay) return timeMs;
  throw new UsageError(
    `since "${text}" is no time: 90s, 10m, 2h, 1d (ago) or a time such as 2026-01-31T08:30:00Z is legal`,
  );
}

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

function anyOf(texts: readonly string[], parse: (text: string) => Test): Test | undefined {
  if (texts.length === 0) return undefined;
  const tests = texts.map(parse);
  return (event) => tests.some((test) => test(event));
}

function parseVerdict(text: string): Test {
  const verdict = VERDICTS.find((each) => each === text.toLowerCase());
  if (verdict) return (event) => event.verdict === verdict;
  throw new UsageError(`verdict "${text}" is not one: allow, deny or would_deny is legal`);
}

/* Of a flow one of the names that taught its address, of a lookup the name in question. */
function parseNameTest(text: string): Test {
  const match: NameMatch = parsePattern(text);
  return (event) => {
    const names = event.kind === 'dns' ? [event.qname ?? ''] : event.names;
    return names.some((name) => matchesName(match, name));
  };
}

function parseTo(text: string): Test {
  const prefix: Prefix = parsePrefix(text).prefix;
  return ({ packet }) => packet.family !== 'unread' && contains(prefix, parseAddress(packet.dst));
}

function parsePortTest(text: string): Test {
  const ranges: PortRange[] = parsePort(text);
  return ({ packet }) => {
    const number = protocolOf(packet);
    if (number === undefined || packet.family === 'unread') return false;
    return matchesPort(ranges, number, packet.dport ?? packet.icmpType ?? 0);
  };
}

function parseProto(text: string): Test {
  const number = protocolNumber(text.toLowerCase());
  if (number === undefined)
    throw new UsageError(
      `proto "${text}" is not a protocol: tcp, udp, icmp, icmpv6, sctp or proto-47 is legal`,
    );
  return ({ packet }) => protocolOf(packet) === number;
}

function protocolOf(packet: Packet): number | undefined {
  return packet.family === 'unread' ? undefined : protocolNumber(packet.proto);
}

/* A number is a process id; else what the process is called: its command, its program's path, or the last part of it. */
function parseProcess(text: string): Test {
  if (text === '') throw new UsageError('process "" is empty: a command, a path or a process id is legal');
  if (/^\d+$/u.test(text)) return ({ process }) => process?.pid === Number(text);
  return ({ process }) => process !== undefined && isCalled(process, text);
}

function isCalled({ comm, exe }: Process, text: string): boolean {
  return comm === text || exe === text || exe?.slice(exe.lastIndexOf('/') + 1) === text;
}

/* As it was written, or what stands behind `=` in a flag. */
function parseRule(text: string): Test {
  if (text === '') throw new UsageError('rule "" is empty: a rule as events show it is legal');
  return ({ rule }) => rule !== undefined && (rule === text || rule.replace(/^-[a-z-]+=/u, '') === text);
}
