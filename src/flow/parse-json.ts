import {
  type DnsEvent,
  type Event,
  type FlowEvent,
  type Judged,
  LIFECYCLE_ACTIONS,
  type NameLease,
  type Packet,
  POLICY_ACTIONS,
  type Process,
  type Traffic,
} from './event.ts';
import { Fields } from './fields.ts';
import { REASONS, UNPARSED, VERDICTS } from './reason.ts';

/**
 * The event of a line that `renderJson` wrote. Keys that it does not know are left out, so that an older reader takes
 * what a newer enforcer tells. Throws SyntaxError for anything else.
 */
export function parseJson(line: string): Event {
  const fields = new Fields(JSON.parse(line), 'an event');
  const head = { seq: fields.number('seq'), timeMs: fields.time('ts'), lost: fields.number('lost') };
  const kind = fields.word('kind', ['flow', 'dns', 'policy', 'lifecycle'] as const);
  switch (kind) {
    case 'flow':
      return { ...head, kind, ...parseFlow(fields) };
    case 'dns':
      return { ...head, kind, ...parseDns(fields) };
    case 'policy':
      return {
        ...head,
        kind,
        action: fields.word('action', POLICY_ACTIONS),
        message: fields.text('message'),
        lines: fields.texts('lines'),
      };
    case 'lifecycle':
      return {
        ...head,
        kind,
        action: fields.word('action', LIFECYCLE_ACTIONS),
        message: fields.text('message'),
        ...(fields.has('iface') && { iface: fields.text('iface') }),
      };
    default:
      return kind satisfies never;
  }
}

function parseFlow(fields: Fields): Omit<FlowEvent, 'seq' | 'timeMs' | 'lost' | 'kind'> {
  const leases = fields
    .list('leases')
    .map((each): NameLease => ({ name: each.text('name'), endsMs: each.time('ends') }));
  const traffic: Traffic | undefined = fields.has('bytes')
    ? {
        bytes: fields.number('bytes'),
        packets: fields.number('packets'),
        ...(fields.has('bytes_in') && { bytesIn: fields.number('bytes_in') }),
        ...(fields.has('packets_in') && { packetsIn: fields.number('packets_in') }),
      }
    : undefined;
  return { ...parseJudged(fields), names: fields.texts('names'), leases, ...(traffic && { traffic }) };
}

function parseDns(fields: Fields): Omit<DnsEvent, 'seq' | 'timeMs' | 'lost' | 'kind'> {
  const unparsed = UNPARSED.filter((word) => word !== undefined);
  return {
    ...parseJudged(fields),
    ...(fields.has('qname') && { qname: fields.text('qname') }),
    ...(fields.has('qtype') && { qtype: fields.text('qtype') }),
    ...(fields.has('rcode') && { rcode: fields.text('rcode') }),
    ...(fields.has('unparsed') && { unparsed: fields.word('unparsed', unparsed) }),
    addresses: fields.texts('addresses'),
  };
}

function parseJudged(fields: Fields): Judged {
  const process = parseProcess(fields);
  return {
    verdict: fields.word(
      'verdict',
      VERDICTS.filter((word) => word !== undefined),
    ),
    reason: fields.word('reason', REASONS),
    ...(fields.has('rule') && { rule: fields.text('rule') }),
    policy: fields.text('policy'),
    subject: fields.text('subject'),
    iface: fields.text('iface'),
    packet: parsePacket(fields),
    ...(process && { process }),
    count: fields.number('count'),
    windowMs: fields.number('window_ms'),
  };
}

function parseProcess(fields: Fields): Process | undefined {
  if (!fields.has('pid')) return undefined;
  return {
    pid: fields.number('pid'),
    uid: fields.number('uid'),
    comm: fields.text('comm'),
    ...(fields.has('exe') && { exe: fields.text('exe') }),
    ...(fields.has('cgroup') && { cgroup: fields.text('cgroup') }),
    ...(fields.has('container') && { container: fields.text('container') }),
  };
}

function parsePacket(fields: Fields): Packet {
  const family = fields.word('family', ['ipv4', 'ipv6', 'unread'] as const);
  if (family === 'unread') return { family, etherType: fields.number('ethertype') };
  return {
    family,
    proto: fields.text('proto'),
    src: fields.text('src'),
    dst: fields.text('dst'),
    ...(fields.has('sport') && { sport: fields.number('sport') }),
    ...(fields.has('dport') && { dport: fields.number('dport') }),
    ...(fields.has('icmp_type') && { icmpType: fields.number('icmp_type') }),
  };
}
