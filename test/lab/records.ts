/** One resource record as a test states it; `value` is in zone-file form, names in it without a final dot. */
export interface DnsRecord {
  /** Owner, without a final dot; a leading `*.` makes a wildcard; letters keep their case. */
  readonly name: string;
  readonly type: 'A' | 'AAAA' | 'CNAME' | 'TXT' | 'HTTPS' | 'MX' | 'SRV' | 'PTR';
  readonly value: string;
  /** Seconds; 60 when not given. */
  readonly ttl?: number;
}

/** Seconds, where a record does not say. */
export const DEFAULT_TTL = 60;

/** A and AAAA records of `name`; a colon makes an address IPv6. */
export function addressRecords(
  name: string,
  addresses: readonly string[],
  ttl = DEFAULT_TTL,
): readonly DnsRecord[] {
  return addresses.map((value) => ({ name, type: value.includes(':') ? 'AAAA' : 'A', value, ttl }) as const);
}

/** The name that says which set of records a server has: TXT `<generation>`. */
export const READY_NAME = 'generation.lab.example';

/** `records` and the mark by which a reload is seen. */
export function withGeneration(records: readonly DnsRecord[], generation: number): readonly DnsRecord[] {
  return [...records, { name: READY_NAME, type: 'TXT', value: `${generation}`, ttl: 0 }];
}

/**
 * A root zone (RFC 1035 5.1) that holds `records` and nothing else.
 * One zone for all names, so that CNAME chains between any of them are followed.
 */
export function encodeRootZone(records: readonly DnsRecord[], serial: number): string {
  const lines = records.map(
    ({ name, type, value, ttl }) => `${name}. ${ttl ?? DEFAULT_TTL} IN ${type} ${encodeValue(type, value)}`,
  );
  return [
    `. 60 IN SOA ns.lab.example. root.lab.example. ${serial} 3600 600 86400 1`,
    '. 60 IN NS ns.lab.example.',
    'ns.lab.example. 60 IN A 192.0.2.53',
    ...lines,
    '',
  ].join('\n');
}

function encodeValue(type: DnsRecord['type'], value: string): string {
  switch (type) {
    case 'TXT':
      return `"${value}"`;
    case 'CNAME':
    case 'MX':
    case 'PTR':
    case 'SRV':
      return `${value}.`;
    case 'A':
    case 'AAAA':
    case 'HTTPS':
      return value;
    default:
      return type satisfies never;
  }
}
