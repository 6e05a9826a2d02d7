import ipaddr from 'ipaddr.js';
import { UsageError } from '../errors.ts';

/**
 * A network. `bytes`: 16, network order, bits past the length zero, IPv4 as ::ffff:a.b.c.d; `bits` counts
 * in these 128, so that an IPv4 /24 has 120; `text` is canonical, with the length of its own family.
 */
export interface Prefix {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly bits: number;
  readonly text: string;
}

/** Bits in front of an IPv4 address in its 16-byte form. */
export const MAPPED_BITS = 96;

const LEGAL = '192.0.2.1, 192.0.2.0/24, 2001:db8::1 or 2001:db8::/32 is legal';

/**
 * Parses a prefix or an address (which is a /32 or /128). ::ffff:a.b.c.d/n is an IPv4 prefix, and n 96 or more: with
 * less it would be a wide one of IPv6, ::/24 where 10.0.0.0/24 was meant. Bits set past the length are masked, which `warning` says. Throws UsageError.
 */
export function parsePrefix(text: string): { prefix: Prefix; warning?: string } {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const bytes = readAddress(address);
  if (!bytes) throw new UsageError(`prefix "${text}" is not an address or a prefix: ${LEGAL}`);
  const width = address.includes(':') ? 128 : 32;
  const length = slash < 0 ? width : parseLength(text, text.slice(slash + 1), width);
  const bits = length + 128 - width;
  if (bits < MAPPED_BITS && isMapped(bytes)) {
    const meant = `${formatAddress(bytes)}/${Math.min(length, 32)}`;
    throw new UsageError(
      `prefix "${text}" has an IPv4-mapped address and the length "${length}": ${meant}, or 96 to 128, is legal`,
    );
  }
  const masked = mask(bytes, bits);
  const family = bits >= MAPPED_BITS && isMapped(masked) ? 4 : 6;
  const prefix: Prefix = {
    family,
    bytes: masked,
    bits,
    text: `${formatAddress(masked)}/${family === 4 ? bits - MAPPED_BITS : bits}`,
  };
  if (bytes.every((byte, index) => byte === masked[index])) return { prefix };
  return { prefix, warning: `prefix "${text}" has bits set past its length: taken as "${prefix.text}"` };
}

/** Parses an address in full dotted-decimal or RFC 4291 form, without scope, to 16 bytes. Throws UsageError. */
export function parseAddress(text: string): Uint8Array<ArrayBuffer> {
  const bytes = readAddress(text);
  if (bytes) return bytes;
  throw new UsageError(`address "${text}" is not an address: 192.0.2.1 or 2001:db8::1 is legal`);
}

/** Whether `parseAddress` takes the text. */
export function isAddress(text: string): boolean {
  return readAddress(text) !== undefined;
}

/** The text of a 16-byte address (RFC 5952); of ::ffff:a.b.c.d the IPv4 address. */
export function formatAddress(addr16: Uint8Array): string {
  if (isMapped(addr16)) return `${addr16[12]}.${addr16[13]}.${addr16[14]}.${addr16[15]}`;
  return new ipaddr.IPv6([...addr16]).toRFC5952String();
}

/** Whether an address lies in a prefix of its own family: ::/0 holds no IPv4 address. */
export function contains(prefix: Prefix, addr16: Uint8Array): boolean {
  if ((prefix.family === 4) !== isMapped(addr16)) return false;
  const whole = prefix.bits >> 3;
  for (let index = 0; index < whole; index += 1) if (prefix.bytes[index] !== addr16[index]) return false;
  const rest = prefix.bits & 7;
  return rest === 0 || (((prefix.bytes[whole] ?? 0) ^ (addr16[whole] ?? 0)) & (0xff << (8 - rest))) === 0;
}

/** Whether 16 bytes are an IPv4 address, ::ffff:a.b.c.d. */
export function isMapped(addr16: Uint8Array): boolean {
  if (addr16[10] !== 0xff || addr16[11] !== 0xff) return false;
  for (let index = 0; index < 10; index += 1) if (addr16[index] !== 0) return false;
  return true;
}

/**
 * ipaddr.js takes octal and hexadecimal in IPv4, zone ids, groups with more than four digits, and
 * reads ::a.b.c.d as ::ffff:a.b.c.d; so it gets no dotted tail of an IPv6 address.
 */
function readAddress(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!text.includes(':')) return readIpv4(text);
  if (!/^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/u.test(text) || /[0-9a-fA-F]{5}/u.test(text)) return undefined;
  const tailStart = text.lastIndexOf(':') + 1;
  const tail = text.slice(tailStart);
  if (tail.includes('.') && !ipaddr.IPv4.isValidFourPartDecimal(tail)) return undefined;
  const colons = tail.includes('.') ? text.slice(0, tailStart) + hexGroups(tail) : text;
  return ipaddr.IPv6.isValid(colons) ? Uint8Array.from(ipaddr.IPv6.parse(colons).toByteArray()) : undefined;
}

function hexGroups(dotted: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv4.parse(dotted).octets;
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

function parseLength(text: string, length: string, width: number): number {
  const bits = /^(?:0|[1-9]\d{0,2})$/u.test(length) ? Number(length) : width + 1;
  if (bits <= width) return bits;
  throw new UsageError(`prefix "${text}" has the length "${length}": 0 to ${width} is legal`);
}

function mask(addr16: Uint8Array, bits: number): Uint8Array<ArrayBuffer> {
  const masked = Uint8Array.from(addr16);
  const whole = bits >> 3;
  if (bits & 7) masked[whole] = (masked[whole] ?? 0) & (0xff << (8 - (bits & 7)));
  return masked.fill(0, bits & 7 ? whole + 1 : whole);
}

/* By hand, for a policy may have a hundred thousand: four decimal numbers below 256 without leading zeros. */
function readIpv4(text: string): Uint8Array<ArrayBuffer> | undefined {
  const [, ...parts] =
    /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/u.exec(text) ?? [];
  const bytes = new Uint8Array(16);
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  for (const [index, part] of parts.entries()) {
    if (Number(part) > 255) return undefined;
    bytes[12 + index] = Number(part);
  }
  return parts.length === 4 ? bytes : undefined;
}
