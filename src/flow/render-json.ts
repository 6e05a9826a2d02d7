import { encodeJsonLine } from './escape.ts';
import type { DnsEvent, Event, FlowEvent, Packet } from './event.ts';

/**
 * An event as one line of JSON, without the line break. Words are lower-case strings, addresses bare
 * text, `ts` ISO 8601 in UTC; what is not known is absent.
 */
export function renderJson(event: Event): string {
  const head = { ts: new Date(event.timeMs).toISOString(), seq: event.seq, kind: event.kind };
  const { lost } = event;
  switch (event.kind) {
    case 'flow':
      return encodeJsonLine({ ...head, ...judged(event), names: event.names, ...source(event), lost });
    case 'dns': {
      const { qname, qtype, unparsed, addresses } = event;
      return encodeJsonLine({
        ...head,
        ...judged(event),
        qname,
        qtype,
        unparsed,
        addresses,
        ...source(event),
        lost,
      });
    }
    case 'lifecycle': {
      const { action, iface, message } = event;
      return encodeJsonLine({ ...head, action, iface, message, lost });
    }
    default:
      return event satisfies never;
  }
}

function judged({ verdict, reason, rule, policy, packet }: FlowEvent | DnsEvent): object {
  return { verdict, reason, rule, policy, direction: 'out', ...wire(packet) };
}

function wire(packet: Packet): object {
  if (packet.family === 'unread') return { family: packet.family, ethertype: packet.etherType };
  const { family, proto, src, sport, dst, dport, icmpType } = packet;
  return { family, proto, src, sport, dst, dport, icmp_type: icmpType };
}

function source({ iface, process, count }: FlowEvent | DnsEvent): object {
  return { iface, pid: process?.pid, comm: process?.comm, uid: process?.uid, count };
}
