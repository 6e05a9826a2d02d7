import { escapeControl } from './escape.ts';
import type { DnsEvent, Event, FlowEvent, LifecycleEvent, Packet, Process } from './event.ts';
import type { Verdict } from './reason.ts';

/** Gives parts of a line their colours; each takes text that is already escaped and padded. */
export interface Painter {
  readonly allow: (text: string) => string;
  readonly deny: (text: string) => string;
  readonly wouldDeny: (text: string) => string;
  /** What stands back: time, process, reason. */
  readonly dim: (text: string) => string;
  /** What is looked for: names. */
  readonly strong: (text: string) => string;
}

/** No colours. */
export const PLAIN: Painter = {
  allow: (text) => text,
  deny: (text) => text,
  wouldDeny: (text) => text,
  dim: (text) => text,
  strong: (text) => text,
};

/** What a line needs besides the event. */
export interface TextOptions {
  readonly colour: Painter;
  /** When it is read: what is not of that day has its date. Default: now. */
  readonly nowMs?: number;
}

const VERDICT_COLUMNS = 'would_deny'.length;
const MAX_SHOWN = 3;
/** Within that a time of day says it all, whatever the date. */
const HALF_A_DAY_MS = 43_200_000;

/**
 * An event as one line of text without the line break, time of day in the local zone:
 * `10:42:01.123 deny       curl[1234] www.example.com 198.51.100.7:443/tcp port by .example.com x5`.
 * Unknown process and names are `-`. What came from outside is escaped.
 */
export function renderText(event: Event, { colour, nowMs }: TextOptions): string {
  const time = colour.dim(formatMoment(event.timeMs, nowMs));
  const lost = event.lost > 0 ? [colour.dim(formatLost(event.lost))] : [];
  return [time, ...columns(event, colour), ...lost].join(' ');
}

function columns(event: Event, colour: Painter): string[] {
  switch (event.kind) {
    case 'flow':
      return [
        formatVerdict(event.verdict, colour),
        colour.dim(formatProcess(event.process)),
        colour.strong(formatNames(event.names)),
        formatTarget(event.packet),
        colour.dim(formatCauseOf(event)),
      ];
    case 'dns':
      return [
        formatVerdict(event.verdict, colour),
        colour.dim(formatProcess(event.process)),
        colour.strong(escapeControl(event.qname ?? '-')),
        formatTarget(event.packet),
        colour.dim(formatCauseOf(event)),
      ];
    case 'policy':
      return [[event.action, event.message, ...event.lines].map(escapeControl).join(' | ')];
    case 'lifecycle':
      return [formatLifecycle(event)];
    default:
      return event satisfies never;
  }
}

function formatVerdict(verdict: Verdict, colour: Painter): string {
  return paintVerdict(verdict, verdict.padEnd(VERDICT_COLUMNS), colour);
}

/** `text` in the colour of a verdict. */
export function paintVerdict(verdict: Verdict, text: string, colour: Painter): string {
  switch (verdict) {
    case 'allow':
      return colour.allow(text);
    case 'deny':
      return colour.deny(text);
    case 'would_deny':
      return colour.wouldDeny(text);
    default:
      return verdict satisfies never;
  }
}

/** `curl[1234]`, or `-`. */
export function formatProcess(process: Process | undefined): string {
  return process ? `${escapeControl(process.comm)}[${process.pid}]` : '-';
}

/** `198.51.100.7:443/tcp`, `[2001:db8::1]:53/udp`, `198.51.100.7/icmp type 8`, `ethertype 0x8847`. */
export function formatTarget(packet: Packet): string {
  if (packet.family === 'unread') return `ethertype 0x${packet.etherType.toString(16).padStart(4, '0')}`;
  const { dst, dport, proto, icmpType } = packet;
  if (icmpType !== undefined) return `${dst}/${proto} type ${icmpType}`;
  if (dport === undefined) return `${dst}/${proto}`;
  return `${packet.family === 'ipv6' ? `[${dst}]` : dst}:${dport}/${proto}`;
}

/** `(3 events lost before)`. */
export function formatLost(lost: number): string {
  return `(${lost} ${lost === 1 ? 'event' : 'events'} lost before)`;
}

/** Names, the first few of them; `-` where there is none. */
export function formatNames(names: readonly string[]): string {
  return formatSome(names, ',');
}

/** Why, and what goes with it. */
export function formatCauseOf(event: FlowEvent | DnsEvent): string {
  return formatCause(event, event.kind === 'flow' ? trafficWords(event) : lookupWords(event));
}

/** Rule or reason: where a rule allows, the rule says it all. */
function formatCause({ reason, rule, count }: FlowEvent | DnsEvent, more: readonly string[]): string {
  const isSaidByRule = rule !== undefined && (reason === 'rule-cidr' || reason === 'rule-name');
  return [
    ...(isSaidByRule ? [] : [reason]),
    ...more,
    ...(rule === undefined ? [] : [`by ${escapeControl(rule)}`]),
    ...(count > 1 ? [`x${count}`] : []),
  ].join(' ');
}

function trafficWords({ traffic }: FlowEvent): string[] {
  if (!traffic) return [];
  const { bytes, packets, bytesIn, packetsIn } = traffic;
  const received = bytesIn === undefined ? '' : `, received ${bytesIn} in ${packetsIn}`;
  return [`sent ${bytes} bytes in ${packets} packets${received}`];
}

function lookupWords({ qtype, rcode, unparsed, addresses }: DnsEvent): string[] {
  const failure = rcode === undefined || rcode === 'noerror' ? undefined : `rcode=${rcode.toUpperCase()}`;
  const words = [qtype?.toUpperCase(), failure, unparsed].filter((word) => word !== undefined);
  return addresses.length > 0 ? [...words, formatSome(addresses, ' ')] : words;
}

function formatLifecycle({ action, iface, message }: LifecycleEvent): string {
  return [action, ...(iface === undefined ? [] : [escapeControl(iface)]), escapeControl(message)].join(' ');
}

function formatSome(texts: readonly string[], separator: string): string {
  const shown = texts.slice(0, MAX_SHOWN).map(escapeControl).join(separator);
  if (texts.length > MAX_SHOWN) return `${shown}${separator}+${texts.length - MAX_SHOWN}`;
  return shown || '-';
}

/** As `formatTime`, behind the date where that is not today's. */
export function formatMoment(timeMs: number, nowMs: number = Date.now()): string {
  if (Math.abs(nowMs - timeMs) < HALF_A_DAY_MS) return formatTime(timeMs);
  const date = new Date(timeMs);
  if (date.toDateString() === new Date(nowMs).toDateString()) return formatTime(timeMs);
  const two = (number: number) => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${formatTime(timeMs)}`;
}

/** Time of day in the local zone, with milliseconds. */
export function formatTime(timeMs: number): string {
  const time = new Date(timeMs);
  const two = (number: number) => String(number).padStart(2, '0');
  const milliseconds = String(time.getMilliseconds()).padStart(3, '0');
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${milliseconds}`;
}
