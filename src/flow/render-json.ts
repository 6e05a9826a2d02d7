import { encodeJsonLine } from './escape.ts';
import type { DnsEvent, Event, FlowEvent } from './event.ts';

/**
 * An event as one line of JSON, without the line break; `src/presets/l7egg-event-v1.schema.json` describes it. Words are
 * lower-case strings, addresses bare text, times ISO 8601 in UTC; what is not known is absent.
 */
export function renderJson(event: Event): string {
  return encodeJsonLine(toJson(event));
}

/**
 * The value that `renderJson` writes; what is not known is undefined. One literal for each kind: to spread parts into
 * one another costs twenty times as much, and this is done for every event.
 */
export function toJson(event: Event): object {
  switch (event.kind) {
    case 'flow':
      return flowJson(event);
    case 'dns':
      return dnsJson(event);
    case 'policy': {
      const { seq, kind, action, message, lines, lost } = event;
      return { ts: isoTime(event.timeMs), seq, kind, action, message, lines, lost };
    }
    case 'lifecycle': {
      const { seq, kind, action, iface, message, lost } = event;
      return { ts: isoTime(event.timeMs), seq, kind, action, iface, message, lost };
    }
    default:
      return event satisfies never;
  }
}

function flowJson(event: FlowEvent): object {
  const { packet, process, traffic } = event;
  const ip = packet.family === 'unread' ? undefined : packet;
  return {
    ts: isoTime(event.timeMs),
    seq: event.seq,
    kind: event.kind,
    verdict: event.verdict,
    reason: event.reason,
    rule: event.rule,
    policy: event.policy,
    subject: event.subject,
    direction: 'out',
    family: packet.family,
    ethertype: packet.family === 'unread' ? packet.etherType : undefined,
    proto: ip?.proto,
    src: ip?.src,
    sport: ip?.sport,
    dst: ip?.dst,
    dport: ip?.dport,
    icmp_type: ip?.icmpType,
    names: event.names,
    leases: event.leases.map(({ name, endsMs }) => ({ name, ends: isoTime(endsMs) })),
    iface: event.iface,
    pid: process?.pid,
    comm: process?.comm,
    exe: process?.exe,
    uid: process?.uid,
    cgroup: process?.cgroup,
    container: process?.container,
    count: event.count,
    window_ms: event.windowMs,
    bytes: traffic?.bytes,
    packets: traffic?.packets,
    bytes_in: traffic?.bytesIn,
    packets_in: traffic?.packetsIn,
    lost: event.lost,
  };
}

function dnsJson(event: DnsEvent): object {
  const { packet, process } = event;
  const ip = packet.family === 'unread' ? undefined : packet;
  return {
    ts: isoTime(event.timeMs),
    seq: event.seq,
    kind: event.kind,
    verdict: event.verdict,
    reason: event.reason,
    rule: event.rule,
    policy: event.policy,
    subject: event.subject,
    direction: 'out',
    family: packet.family,
    ethertype: packet.family === 'unread' ? packet.etherType : undefined,
    proto: ip?.proto,
    src: ip?.src,
    sport: ip?.sport,
    dst: ip?.dst,
    dport: ip?.dport,
    icmp_type: ip?.icmpType,
    qname: event.qname,
    qtype: event.qtype,
    rcode: event.rcode,
    unparsed: event.unparsed,
    addresses: event.addresses,
    iface: event.iface,
    pid: process?.pid,
    comm: process?.comm,
    exe: process?.exe,
    uid: process?.uid,
    cgroup: process?.cgroup,
    container: process?.container,
    count: event.count,
    window_ms: event.windowMs,
    lost: event.lost,
  };
}

/* Of events that come in one second, most often, only the milliseconds are new. */
let second = Number.NaN;
let secondText = '';

function isoTime(timeMs: number): string {
  const whole = Math.floor(timeMs);
  const milliseconds = whole % 1_000;
  if (whole - milliseconds !== second) {
    second = whole - milliseconds;
    secondText = new Date(second).toISOString().slice(0, -'000Z'.length);
  }
  return `${secondText}${String(milliseconds).padStart(3, '0')}Z`;
}
