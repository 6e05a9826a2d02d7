import { UsageError } from '../errors.ts';

/**
 * Ports of one IP protocol, 0 = of every one, both ends included; of ICMP the types. An empty list of ranges means
 * everything.
 */
export interface PortRange {
  readonly l4Proto: number;
  readonly low: number;
  readonly high: number;
}

/** Ranges that one rule may have; as MAX_PORTS in bpf/contract.h. */
export const MAX_PORTS = 16;

const ANY = 0;
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
const SCTP = 132;
const MAX_PORT = 65_535;

const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['tcp', TCP],
  ['udp', UDP],
  ['sctp', SCTP],
]);

const TYPED: ReadonlyMap<string, number> = new Map([
  ['icmp', ICMP],
  ['icmpv6', ICMPV6],
]);
const MAX_TYPE = 255;

const LEGAL = '443, 443/tcp, 8000-8100/udp, tcp, icmp, icmp:8, icmpv6:128 or proto:47 is legal';

/**
 * Parses one value of `-port`: a port or a range with tcp, udp or sctp; without, tcp and udp are meant. A protocol
 * alone is all its ports; `icmp` is every type of ICMP and ICMPv6, `icmp:8` and `icmpv6:128-129` are types of one;
 * `proto:47` is an IP protocol by its number. Throws UsageError.
 */
export function parsePort(text: string): PortRange[] {
  if (text === 'icmp') return [ICMP, ICMPV6].map((l4Proto) => ({ l4Proto, low: 0, high: MAX_TYPE }));
  if (text === 'icmpv6') return [{ l4Proto: ICMPV6, low: 0, high: MAX_TYPE }];
  const whole = PROTOCOLS.get(text);
  if (whole !== undefined) return [{ l4Proto: whole, low: 0, high: MAX_PORT }];
  const [, word, numbers] = /^(icmp|icmpv6|proto):(.*)$/su.exec(text) ?? [];
  if (word !== undefined && numbers !== undefined) return [parseNumbered(text, word, numbers)];
  const [, first, last, protocol] = /^(\d+)(?:-(\d+))?(?:\/(.*))?$/su.exec(text) ?? [];
  if (first === undefined) throw new UsageError(`port "${text}" is not a port: ${LEGAL}`);
  const low = parsePortNumber(first, `port "${text}"`);
  const high = last === undefined ? low : parsePortNumber(last, `port "${text}"`);
  if (low > high) throw new UsageError(`port "${text}" goes down: the lower port comes first`);
  const protocols = protocol === undefined ? [TCP, UDP] : [parseProtocol(protocol, `port "${text}"`)];
  return protocols.map((l4Proto) => ({ l4Proto, low, high }));
}

/* `icmp:8`, `icmpv6:128-129`, `proto:47`. */
function parseNumbered(text: string, word: string, numbers: string): PortRange {
  const [, first, last = first] = /^(\d{1,3})(?:-(\d{1,3}))?$/u.exec(numbers) ?? [];
  const low = Number(first);
  const high = Number(last);
  if (first === undefined || high > MAX_TYPE || low > high) {
    throw new UsageError(`port "${text}" has the number "${numbers}": 0 to 255 is legal`);
  }
  const typed = TYPED.get(word);
  if (typed !== undefined) return { l4Proto: typed, low, high };
  if (low !== high || low === ANY) throw new UsageError(`port "${text}": one protocol, 1 to 255, is legal`);
  const isTyped = low === ICMP || low === ICMPV6;
  return { l4Proto: low, low: 0, high: isTyped ? MAX_TYPE : MAX_PORT };
}

/** The text of which `parsePort` makes the range: `443/tcp`, `8000-8100/udp`, `tcp`, `icmp:8`, `proto:47`. Not of protocol 0. */
export function portText({ l4Proto, low, high }: PortRange): string {
  const range = low === high ? `${low}` : `${low}-${high}`;
  const [typed] = [...TYPED].find(([, number]) => number === l4Proto) ?? [];
  if (typed !== undefined) return `${typed}:${range}`;
  const [word] = [...PROTOCOLS].find(([, number]) => number === l4Proto) ?? [];
  if (word === undefined) return `proto:${l4Proto}`;
  // Port 0 can't be written, so what begins there means all.
  return low === 0 ? word : `${range}/${word}`;
}

/** Parses a decimal port, 1 to 65535, no leading zero. `subject` begins the message of the UsageError. */
export function parsePortNumber(text: string, subject: string): number {
  const port = /^[1-9]\d{0,4}$/u.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= MAX_PORT) return port;
  throw new UsageError(`${subject} has the port "${text}": 1 to 65535 is legal`);
}

/** Parses a protocol that has ports to its IP protocol number. `subject` begins the message of the UsageError. */
export function parseProtocol(text: string, subject: string): number {
  const l4Proto = PROTOCOLS.get(text);
  if (l4Proto !== undefined) return l4Proto;
  throw new UsageError(`${subject} has the protocol "${text}": tcp, udp or sctp is legal`);
}

/** The same ports with the fewest ranges, by protocol and port. */
export function mergePorts(ranges: readonly PortRange[]): PortRange[] {
  const merged: PortRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.l4Proto - b.l4Proto || a.low - b.low)) {
    const last = merged.at(-1);
    if (last?.l4Proto === range.l4Proto && range.low <= last.high + 1) {
      merged[merged.length - 1] = { ...last, high: Math.max(last.high, range.high) };
    } else {
      merged.push(range);
    }
  }
  return merged;
}

/** Every port but those of DNS and of DNS over TLS or QUIC; ICMP has no types of these numbers. */
export const NO_DNS_PORTS: readonly PortRange[] = [
  { l4Proto: ANY, low: 0, high: 52 },
  { l4Proto: ANY, low: 54, high: 852 },
  { l4Proto: ANY, low: 854, high: MAX_PORT },
];

/** Ports, one at least of each stretch in which no range begins or ends: there every port fares alike. */
export function sampleOf(ranges: readonly PortRange[], l4Proto: number): number[] {
  const isTyped = l4Proto === ICMP || l4Proto === ICMPV6;
  const most = isTyped ? MAX_TYPE : MAX_PORT;
  const least = isTyped ? 0 : 1;
  const edges = [least, ...ranges.flatMap(({ low, high }) => [low, high + 1])];
  return [...new Set(edges)].filter((port) => least <= port && port <= most);
}

/** Whether ranges hold a port of a protocol, for ICMP a type. The empty list holds everything. */
export function matchesPort(ranges: readonly PortRange[], l4Proto: number, port: number): boolean {
  if (ranges.length === 0) return true;
  return ranges.some(
    (range) =>
      (range.l4Proto === ANY || range.l4Proto === l4Proto) && range.low <= port && port <= range.high,
  );
}
