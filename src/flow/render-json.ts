import { encodeJsonLine } from './escape.ts';
import type { DnsEvent, Event, FlowEvent, Packet, Traffic } from './event.ts';

/**
 * An event as one line of JSON, without the line break; `src/presets/l7egg-event-v1.schema.json` describes it. Words are
 * lower-case strings, addresses bare text, times ISO 8601 in UTC; what is not known is absent.
 */
export function renderJson(event: Event): string {
  return encodeJsonLine(toJson(event));
}

/** The value that `renderJson` writes. */
export function toJson(event: Event): object {
  const head = { ts: isoTime(event.timeMs), seq: event.seq, kind: event.kind };
  const { lost } = event;
  switch (event.kind) {
    case 'flow': {
      const { names, traffic } = event;
      const leases = event.leases.map(({ name, endsMs }) => ({ name, ends: isoTime(endsMs) }));
      return { ...head, ...judged(event), names, leases, ...source(event), ...carried(traffic), lost };
    }
    case 'dns': {
      const { qname, qtype, rcode, unparsed, addresses } = event;
      return { ...head, ...judged(event), qname, qtype, rcode, unparsed, addresses, ...source(event), lost };
    }
    case 'policy': {
      const { action, message, lines } = event;
      return { ...head, action, message, lines, lost };
    }
    case 'lifecycle': {
      const { action, iface, message } = event;
      return { ...head, action, iface, message, lost };
    }
    default:
      return event satisfies never;
  }
}

function judged({ verdict, reason, rule, policy, subject, packet }: FlowEvent | DnsEvent): object {
  return { verdict, reason, rule, policy, subject, direction: 'out', ...wire(packet) };
}

function wire(packet: Packet): object {
  if (packet.family === 'unread') return { family: packet.family, ethertype: packet.etherType };
  const { family, proto, src, sport, dst, dport, icmpType } = packet;
  return { family, proto, src, sport, dst, dport, icmp_type: icmpType };
}

function source({ iface, process, count, windowMs }: FlowEvent | DnsEvent): object {
  const { pid, comm, exe, uid, cgroup, container } = process ?? {};
  return { iface, pid, comm, exe, uid, cgroup, container, count, window_ms: windowMs };
}

function carried(traffic: Traffic | undefined): object {
  if (!traffic) return {};
  const { bytes, packets, bytesIn, packetsIn } = traffic;
  return { bytes, packets, bytes_in: bytesIn, packets_in: packetsIn };
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
