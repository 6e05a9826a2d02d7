import { DEFAULT_TTL, type DnsRecord } from './records.ts';

/** Where a server listens. */
export interface Listen {
  readonly addresses: readonly string[];
  readonly port: number;
}

/** The server that a forwarder asks. */
export interface Upstream {
  readonly address: string;
  readonly port: number;
}

// user and group: a process that changes one of them no longer dies with the lab (prctl(2), PR_SET_PDEATHSIG).
const DNSMASQ_COMMON = [
  'no-resolv',
  'no-hosts',
  'no-poll',
  'bind-interfaces',
  'user=root',
  'group=root',
  'edns-packet-max=4096',
];

function dnsmasqListen({ addresses, port }: Listen): readonly string[] {
  return [`port=${port}`, ...addresses.map((address) => `listen-address=${address}`)];
}

function dnsmasqRecord({ name, type, value, ttl = DEFAULT_TTL }: DnsRecord): string {
  if (name.startsWith('*.') && (type === 'A' || type === 'AAAA')) {
    // The second line makes other types an empty answer; without it they are NXDOMAIN.
    return `address=/${name.slice(2)}/${value}\nlocal=/${name.slice(2)}/`;
  }
  switch (type) {
    case 'A':
    case 'AAAA':
      return `host-record=${name},${value},${ttl}`;
    case 'CNAME':
      return `cname=${name},${value},${ttl}`;
    case 'TXT':
      return `txt-record=${name},"${value}"`;
    default:
      throw new Error(
        `Cannot give dnsmasq "${name} ${type}": it serves A, AAAA, CNAME and TXT here; use BIND or unbound`,
      );
  }
}

/** dnsmasq that knows `records` and nothing else; a wildcard's and a TXT record's TTL is `DEFAULT_TTL`. */
export function encodeDnsmasq(listen: Listen, records: readonly DnsRecord[]): string {
  return lines([
    ...DNSMASQ_COMMON,
    ...dnsmasqListen(listen),
    `local-ttl=${DEFAULT_TTL}`,
    'local=/#/',
    ...records.map(dnsmasqRecord),
  ]);
}

/** dnsmasq as a caching forwarder. */
export function encodeDnsmasqForwarder(listen: Listen, upstream: Upstream): string {
  return lines([
    ...DNSMASQ_COMMON,
    ...dnsmasqListen(listen),
    `server=${upstream.address}#${upstream.port}`,
    'cache-size=10000',
  ]);
}

// What unbound refuses by default would hide the names that labs use, such as *.test.
const UNBOUND_OPEN_ZONES = ['test.', 'invalid.', '2.0.192.in-addr.arpa.', '8.b.d.0.1.0.0.2.ip6.arpa.'];

function unboundServer(directory: string, { addresses, port }: Listen): readonly string[] {
  return [
    'server:',
    ...addresses.map((address) => `interface: ${address}@${port}`),
    `directory: "${directory}"`,
    'username: ""',
    'chroot: ""',
    'pidfile: ""',
    'do-daemonize: no',
    'use-syslog: no',
    'log-time-ascii: no',
    'module-config: "iterator"',
    'num-threads: 1',
    'access-control: 0.0.0.0/0 allow',
    'access-control: ::/0 allow',
    'do-not-query-localhost: no',
    'max-udp-size: 4096',
    'edns-buffer-size: 4096',
    'hide-identity: yes',
    ...UNBOUND_OPEN_ZONES.map((zone) => `local-zone: "${zone}" nodefault`),
    'remote-control:',
    'control-enable: no',
  ];
}

/** unbound that answers from the root zone in `zoneFile`. */
export function encodeUnbound(directory: string, listen: Listen, zoneFile: string): string {
  return lines([
    ...unboundServer(directory, listen),
    'auth-zone:',
    'name: "."',
    `zonefile: "${zoneFile}"`,
    'for-downstream: yes',
    'for-upstream: yes',
    'fallback-enabled: no',
  ]);
}

/** unbound as a caching forwarder. */
export function encodeUnboundForwarder(directory: string, listen: Listen, upstream: Upstream): string {
  return lines([
    ...unboundServer(directory, listen),
    'forward-zone:',
    'name: "."',
    `forward-addr: ${upstream.address}@${upstream.port}`,
  ]);
}

/** BIND that answers from the root zone in `zoneFile`. */
export function encodeBind(directory: string, { addresses, port }: Listen, zoneFile: string): string {
  const [v4, v6] = [
    addresses.filter((one) => !one.includes(':')),
    addresses.filter((one) => one.includes(':')),
  ];
  const list = (some: readonly string[]) => (some.length === 0 ? 'none;' : `${some.join('; ')};`);
  return lines([
    'controls { };',
    'options {',
    `directory "${directory}";`,
    `managed-keys-directory "${directory}";`,
    'pid-file none;',
    'session-keyfile none;',
    'lock-file none;',
    `listen-on port ${port} { ${list(v4)} };`,
    `listen-on-v6 port ${port} { ${list(v6)} };`,
    'recursion yes;',
    'allow-query { any; };',
    'allow-recursion { any; };',
    'dnssec-validation no;',
    'empty-zones-enable no;',
    'minimal-responses yes;',
    'max-udp-size 4096;',
    'edns-udp-size 4096;',
    '};',
    'logging { category default { null; }; };',
    `zone "." { type primary; file "${zoneFile}"; notify no; };`,
  ]);
}

function lines(all: readonly string[]): string {
  return `${all.join('\n')}\n`;
}
