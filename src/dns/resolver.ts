import ipaddr from 'ipaddr.js';
import { UsageError } from '../errors.ts';

/** A DNS server: 16 bytes, IPv4 as ::ffff:a.b.c.d; `scope` is the interface of a link-local address. */
export interface Resolver {
  readonly addr16: Uint8Array<ArrayBuffer>;
  readonly port: number;
  readonly scope?: string;
}

/** The port where DNS is served unless told otherwise. */
export const DNS_PORT = 53;

const LEGAL = 'an IPv4 or IPv6 address, with a port as 192.0.2.53:5353 or [2001:db8::53]:5353';

/** Parses the value of `-resolver`: an address, with a port or without. Throws UsageError. */
export function parseResolver(text: string): Resolver {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/su.exec(text);
  const dotted = /^([^:]*):(.*)$/su.exec(text);
  const colons = text.split(':').length - 1;
  const [, address = text, port] = bracketed ?? (colons === 1 ? dotted : undefined) ?? [];
  if (bracketed && !address.includes(':')) throw malformed(text);
  const resolver = parseAddress(address, parsePort(port, text));
  if (!resolver) throw malformed(text);
  if (isUnspecified(resolver.addr16)) {
    throw new UsageError(
      `resolver "${text}" is the unspecified address: the address that the server has is legal`,
    );
  }
  return resolver;
}

/**
 * A resolver from an address alone, in full dotted-decimal or RFC 4291 form: no octal, hexadecimal or
 * short IPv4 forms. A v4-mapped address is the IPv4 address. Undefined when `text` is no such address.
 */
export function parseAddress(text: string, port: number): Resolver | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    return { addr16: Uint8Array.from(ipaddr.IPv4.parse(text).toIPv4MappedAddress().toByteArray()), port };
  }
  // Taken off here: ipaddr.js knows only letters and digits in a scope, interfaces have names like br-lan.
  const [, bare = text, scope] = /^([^%]*)%([^%/\s]{1,15})$/u.exec(text) ?? [];
  if (!bare.includes(':') || bare.includes('%') || !ipaddr.IPv6.isValid(bare)) return undefined;
  // ipaddr.js takes octal and hexadecimal in the IPv4 tail.
  const tail = bare.slice(bare.lastIndexOf(':') + 1);
  if (tail.includes('.') && !ipaddr.IPv4.isValidFourPartDecimal(tail)) return undefined;
  const addr16 = Uint8Array.from(ipaddr.IPv6.parse(bare).toByteArray());
  return scope === undefined ? { addr16, port } : { addr16, port, scope };
}

/** Whether an address is 0.0.0.0 or ::. */
export function isUnspecified(addr16: Uint8Array): boolean {
  const isMapped = addr16[10] === 0xff && addr16[11] === 0xff;
  return addr16.every((byte, index) => byte === 0 || (isMapped && (index === 10 || index === 11)));
}

function parsePort(text: string | undefined, whole: string): number {
  if (text === undefined) return DNS_PORT;
  const port = /^[1-9]\d{0,4}$/u.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw new UsageError(`resolver "${whole}" has the port "${text}": 1 to 65535 is legal`);
  }
  return port;
}

function malformed(text: string): UsageError {
  return new UsageError(`resolver "${text}" is not an address: ${LEGAL} is legal`);
}

/** Whether the resolver is on this host: 127/8 or ::1. */
export function isLoopback({ addr16 }: { readonly addr16: Uint8Array }): boolean {
  const isZero = (from: number, to: number) => addr16.subarray(from, to).every((byte) => byte === 0);
  const isMapped = isZero(0, 10) && addr16[10] === 0xff && addr16[11] === 0xff;
  return isMapped ? addr16[12] === 127 : isZero(0, 15) && addr16[15] === 1;
}
