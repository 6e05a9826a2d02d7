import { UsageError } from '../errors.ts';
import { parseName } from './name.ts';
import { parsePortNumber, parseProtocol } from './port.ts';
import { isAddress, parseAddress } from './prefix.ts';

/** Where a connection would go. Without `port` any port is asked for. */
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
  const port = portText === undefined ? {} : { port: parsePortNumber(portText, subject) };
  const l4Proto = parseProtocol(word, subject);
  if (isAddress(host)) return { host: { kind: 'address', addr16: parseAddress(host) }, ...port, l4Proto };
  // RFC 1123 2.1: the last label of a name has a letter; what ends in a number was meant as an address.
  if (/(?:^|\.)\d+\.?$/u.test(host)) {
    throw new UsageError(
      `${subject}: "${host}" is no address, and a name that ends in a number is not legal`,
    );
  }
  return { host: { kind: 'name', name: parseName(host) }, ...port, l4Proto };
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
