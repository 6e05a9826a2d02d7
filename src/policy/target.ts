import { UsageError } from '../errors.ts';
import { parseName } from './name.ts';
import { parsePortNumber } from './port.ts';
import { isAddress, parseAddress } from './prefix.ts';

/** Where a connection would go. Without `port` any port is asked for; of ICMP it is the type. */
export interface Target {
  readonly host:
    | { readonly kind: 'address'; readonly addr16: Uint8Array<ArrayBuffer> }
    | { readonly kind: 'name'; readonly name: string };
  readonly port?: number;
  readonly l4Proto: number;
}

/**
 * Parses `HOST[:PORT[/PROTO]]`, a name or an address; IPv6 with a port as `[2001:db8::1]:443`. The
 * protocol is tcp unless given. Throws UsageError.
 */
export function parseTarget(text: string): Target {
  const subject = `target "${text}"`;
  const bare = isAddress(text);
  const [, bracketed, plain, rest] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/su.exec(text) ?? [];
  const host = bare ? text : (bracketed ?? plain);
  if (host === undefined || (bracketed !== undefined && !(bracketed.includes(':') && isAddress(bracketed)))) {
    throw new UsageError(
      `${subject} is not HOST[:PORT[/PROTO]]: example.com, 192.0.2.1:443, example.com:53/udp or [2001:db8::1]:443 is legal`,
    );
  }
  const [portText, word = 'tcp'] = bare || rest === undefined ? [] : splitOnce(rest, '/');
  const l4Proto = PROTOCOLS.get(word);
  if (l4Proto === undefined) {
    throw new UsageError(`${subject} has the protocol "${word}": tcp, udp, sctp, icmp or icmpv6 is legal`);
  }
  const parseOne = word.startsWith('icmp') ? parseType : parsePortNumber;
  const port = portText === undefined ? {} : { port: parseOne(portText, subject) };
  if (isAddress(host)) return { host: { kind: 'address', addr16: parseAddress(host) }, ...port, l4Proto };
  // RFC 1123 2.1: the last label of a name has a letter; what ends in a number was meant as an address.
  if (/(?:^|\.)\d+\.?$/u.test(host)) {
    throw new UsageError(
      `${subject}: "${host}" is no address, and a name that ends in a number is not legal`,
    );
  }
  return { host: { kind: 'name', name: parseName(host) }, ...port, l4Proto };
}

const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['icmp', 1],
  ['tcp', 6],
  ['udp', 17],
  ['icmpv6', 58],
  ['sctp', 132],
]);

function parseType(text: string, subject: string): number {
  if (/^(?:0|[1-9]\d{0,2})$/u.test(text) && Number(text) <= 255) return Number(text);
  throw new UsageError(`${subject} has the type "${text}": 0 to 255 is legal`);
}

/** The port and protocol of a target as `parseTarget` takes them: `443/tcp`, `tcp`, `8/icmp`. */
export function portText({ port, l4Proto }: Pick<Target, 'port' | 'l4Proto'>): string {
  const [word = `protocol ${l4Proto}`] = [...PROTOCOLS].find(([, number]) => number === l4Proto) ?? [];
  return port === undefined ? word : `${port}/${word}`;
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
