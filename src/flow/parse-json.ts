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
import { REASONS, UNPARSED, VERDICTS } from './reason.ts';

/**
 * The event of a line that `renderJson` wrote. Keys that it does not know are left out, so that an older reader takes
 * what a newer enforcer tells. Throws SyntaxError for anything else.
 */
export function parseJson(line: string): Event {
  const fields = new Fields(JSON.parse(line));
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

/** The keys of an object from outside; each is asked for with the type that it has to have. */
class Fields {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new SyntaxError('an event is an object');
    this.#values = new Map(Object.entries(value));
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  number(key: string): number {
    const value = this.#values.get(key);
    if (typeof value === 'number') return value;
    throw this.#unlike(key, 'a number');
  }

  text(key: string): string {
    const value = this.#values.get(key);
    if (typeof value === 'string') return value;
    throw this.#unlike(key, 'a text');
  }

  time(key: string): number {
    const timeMs = Date.parse(this.text(key));
    if (Number.isFinite(timeMs)) return timeMs;
    throw this.#unlike(key, 'a time');
  }

  word<Word extends string>(key: string, words: readonly Word[]): Word {
    const word = words.find((each) => each === this.#values.get(key));
    if (word !== undefined) return word;
    throw this.#unlike(key, `one of ${words.join(', ')}`);
  }

  texts(key: string): string[] {
    const value = this.#values.get(key);
    if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
    throw this.#unlike(key, 'a list of texts');
  }

  list(key: string): Fields[] {
    const value = this.#values.get(key);
    if (Array.isArray(value)) return value.map((each) => new Fields(each));
    throw this.#unlike(key, 'a list');
  }

  #unlike(key: string, legal: string): SyntaxError {
    return new SyntaxError(`"${key}" of an event is ${JSON.stringify(this.#values.get(key))}, not ${legal}`);
  }
}
