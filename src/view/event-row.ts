import { escapeControl } from '../flow/escape.ts';
import type { DnsEvent, Event, FlowEvent, Packet } from '../flow/event.ts';
import type { Verdict } from '../flow/reason.ts';

/** The texts of an event in a table, escaped; `-` is not known. `told`: a sentence that takes the place of the others. */
export interface EventRow {
  readonly time: string;
  readonly verdict?: Verdict;
  readonly process: string;
  readonly name: string;
  readonly target: string;
  readonly cause: string;
  readonly count: string;
  readonly told?: string;
}

/** What a verdict is called in the page, and the sign that goes with its colour. */
export const VERDICT_SIGNS: Readonly<Record<Verdict, { readonly sign: string; readonly word: string }>> = {
  allow: { sign: '✓', word: 'allow' },
  deny: { sign: '✕', word: 'deny' },
  would_deny: { sign: '!', word: 'would deny' },
};

/** The row of an event, its time in the local zone. */
export function rowOf(event: Event): EventRow {
  const time = formatTime(event.timeMs);
  if (event.kind === 'policy' || event.kind === 'lifecycle') {
    const told = escapeControl(`${event.action}: ${event.message}`);
    return { time, process: 'l7egg', name: '', target: '', cause: event.kind, count: '', told };
  }
  const { process, verdict, packet, count } = event;
  return {
    time,
    verdict,
    process: process ? `${escapeControl(process.comm)}[${process.pid}]` : '-',
    name: escapeControl(nameOf(event) || '-'),
    target: targetOf(packet),
    cause: causeOf(event),
    count: count > 1 ? `×${count}` : '',
  };
}

/** Where a packet went: `198.51.100.7:443/tcp`. */
export function targetOf(packet: Packet): string {
  if (packet.family === 'unread') return `ethertype 0x${packet.etherType.toString(16).padStart(4, '0')}`;
  const { dst, dport, proto, icmpType, family } = packet;
  if (icmpType !== undefined) return `${dst}/${proto} type ${icmpType}`;
  if (dport === undefined) return `${dst}/${proto}`;
  return `${family === 'ipv6' ? `[${dst}]` : dst}:${dport}/${proto}`;
}

/** Time of day with milliseconds, in the local zone. */
export function formatTime(timeMs: number): string {
  const time = new Date(timeMs);
  const two = (number: number) => String(number).padStart(2, '0');
  const milliseconds = String(time.getMilliseconds()).padStart(3, '0');
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${milliseconds}`;
}

function nameOf(event: DnsEvent | FlowEvent): string {
  if (event.kind === 'dns') return event.qname ?? '';
  const [first = '', ...others] = event.names;
  return others.length > 0 ? `${first} +${others.length}` : first;
}

/* Where a rule allows, the rule says it all. */
function causeOf(event: DnsEvent | FlowEvent): string {
  const { reason, rule } = event;
  const isSaidByRule = rule !== undefined && (reason === 'rule-cidr' || reason === 'rule-name');
  const words = event.kind === 'dns' ? [event.qtype?.toUpperCase(), failureOf(event)] : [];
  return [
    isSaidByRule ? undefined : reason,
    ...words,
    rule === undefined ? undefined : `by ${escapeControl(rule)}`,
  ]
    .filter((word) => word !== undefined)
    .join(' ');
}

function failureOf({ rcode }: DnsEvent): string | undefined {
  return rcode === 'noerror' ? undefined : rcode;
}
