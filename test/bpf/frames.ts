import { MAPPED_BITS, parseAddress } from '../../src/policy/prefix.ts';
import { internetChecksum, pseudoHeader } from './checksum.ts';
import type { Segment } from './segments.ts';

/** This host and others, in both families. The documentation prefixes only. */
export const LOCAL4 = '192.0.2.10';
export const LOCAL6 = '2001:db8::10';
export const LOCAL_MAC = Buffer.from('020000000001', 'hex');
export const GATEWAY_MAC = Buffer.from('020000000002', 'hex');

/** An IPv6 extension header: its number, and its bytes in front of a header of another number. */
export interface Extension {
  readonly header: number;
  encode(next: number): Uint8Array;
}

/** What an IP header has besides the ends. Fields that lie are in place of the true ones. */
export interface IpParts {
  readonly hops?: number;
  /** IPv4: options, a multiple of 4 bytes up to 40. */
  readonly options?: Uint8Array;
  readonly id?: number;
  /** IPv4: where the fragment begins, in bytes; whether others follow. */
  readonly fragmentAt?: number;
  readonly moreFragments?: boolean;
  readonly version?: number;
  readonly ihl?: number;
  /** IPv4 total length, IPv6 payload length. */
  readonly claimedLength?: number;
  readonly extensions?: readonly Extension[];
}

const NO_EXTENSIONS: readonly Extension[] = [];

/** A packet from one address to another; the family is theirs. */
export function ip(from: string, to: string, segment: Segment, parts: IpParts = {}): Buffer {
  const [source, destination] = [wireAddress(from), wireAddress(to)];
  const body = withChecksum(segment, source, destination);
  return source.length === 4
    ? ipv4(source, destination, segment.l4Proto, body, parts)
    : ipv6(source, destination, segment.l4Proto, body, parts);
}

/** A packet from this host. */
export function outbound(to: string, segment: Segment, parts: IpParts = {}): Buffer {
  return ip(localFor(to), to, segment, parts);
}

/** A packet to this host. */
export function inbound(from: string, segment: Segment, parts: IpParts = {}): Buffer {
  return ip(from, localFor(from), segment, parts);
}

/** The own address of the family of `other`. */
export function localFor(other: string): string {
  return other.includes(':') ? LOCAL6 : LOCAL4;
}

/** IPv4 fragments of a packet, cut at these multiples of 8 bytes behind its header. */
export function fragments4(
  from: string,
  to: string,
  segment: Segment,
  cuts: readonly number[],
  parts: IpParts = {},
): Buffer[] {
  const [source, destination] = [wireAddress(from), wireAddress(to)];
  const body = withChecksum(segment, source, destination);
  return slice(body, cuts).map(({ at, bytes, more }) =>
    ipv4(source, destination, segment.l4Proto, bytes, { ...parts, fragmentAt: at, moreFragments: more }),
  );
}

/** IPv6 fragments of a packet; `inside` are the extension headers that are cut along with the segment. */
export function fragments6(
  from: string,
  to: string,
  segment: Segment,
  cuts: readonly number[],
  { id = 7, inside = NO_EXTENSIONS }: { id?: number; inside?: readonly Extension[] } = {},
): Buffer[] {
  const [source, destination] = [wireAddress(from), wireAddress(to)];
  const { next, bytes: body } = chain(inside, segment.l4Proto, withChecksum(segment, source, destination));
  return slice(body, cuts).map(({ at, bytes, more }) =>
    ipv6(source, destination, next, bytes, { extensions: [fragmentHeader({ id, at, more })] }),
  );
}

/** An Ethernet frame; `tags` are ethertypes of VLAN tags, the outer first. */
export function ethernet(
  packet: Uint8Array,
  { tags = [], etherType = etherTypeOf(packet) }: { tags?: readonly number[]; etherType?: number } = {},
): Buffer {
  const types = [...tags, etherType];
  const header = Buffer.alloc(12 + 2 + 4 * tags.length);
  GATEWAY_MAC.copy(header, 0);
  LOCAL_MAC.copy(header, 6);
  types.forEach((type, index) => {
    header.writeUInt16BE(type, 12 + 4 * index);
    if (index < tags.length) header.writeUInt16BE(100 + index, 14 + 4 * index);
  });
  return Buffer.concat([header, packet]);
}

/** Options of `words` × 8 bytes: padding, as hop-by-hop (0) or destination options (60). */
export function optionsHeader(header: 0 | 60, words = 1): Extension {
  return {
    header,
    encode: (next) => {
      const bytes = Buffer.alloc(8 * words);
      bytes.set([next, words - 1, 1, bytes.length - 4]);
      return bytes;
    },
  };
}

export function routingHeader(segmentsLeft: number, routingType = 0): Extension {
  return { header: 43, encode: (next) => Buffer.from([next, 0, routingType, segmentsLeft, 0, 0, 0, 0]) };
}

/** An authentication header with a 12-byte check value, RFC 4302 2. */
export function authenticationHeader(): Extension {
  return { header: 51, encode: (next) => Buffer.from([next, 4, ...Buffer.alloc(22)]) };
}

export function fragmentHeader({ id = 7, at = 0, more = false }): Extension {
  return {
    header: 44,
    encode: (next) => {
      const bytes = Buffer.from([next, 0, 0, 0, 0, 0, 0, 0]);
      bytes.writeUInt16BE(at | (more ? 1 : 0), 2);
      bytes.writeUInt32BE(id, 4);
      return bytes;
    },
  };
}

/** The address as it lies in a header: 4 or 16 bytes. An IPv4-mapped one written with a colon has 16. */
export function wireAddress(text: string): Uint8Array {
  const bytes = parseAddress(text);
  return text.includes(':') ? bytes : bytes.subarray(MAPPED_BITS / 8);
}

function ipv4(
  source: Uint8Array,
  destination: Uint8Array,
  l4Proto: number,
  body: Uint8Array,
  parts: IpParts,
): Buffer {
  const options = parts.options ?? new Uint8Array(0);
  const header = Buffer.alloc(20 + options.length);
  header.writeUInt8(((parts.version ?? 4) << 4) | (parts.ihl ?? header.length / 4), 0);
  header.writeUInt16BE(parts.claimedLength ?? header.length + body.length, 2);
  header.writeUInt16BE(parts.id ?? 0x4242, 4);
  header.writeUInt16BE((parts.moreFragments ? 0x2000 : 0) | ((parts.fragmentAt ?? 0) >> 3), 6);
  header.writeUInt8(parts.hops ?? 64, 8);
  header.writeUInt8(l4Proto, 9);
  header.set(source, 12);
  header.set(destination, 16);
  header.set(options, 20);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([header, body]);
}

function ipv6(
  source: Uint8Array,
  destination: Uint8Array,
  l4Proto: number,
  body: Uint8Array,
  parts: IpParts,
): Buffer {
  const { next, bytes } = chain(parts.extensions ?? NO_EXTENSIONS, l4Proto, body);
  const header = Buffer.alloc(40);
  header.writeUInt8((parts.version ?? 6) << 4, 0);
  header.writeUInt16BE(parts.claimedLength ?? bytes.length, 4);
  header.writeUInt8(next, 6);
  header.writeUInt8(parts.hops ?? 64, 7);
  header.set(source, 8);
  header.set(destination, 24);
  return Buffer.concat([header, bytes]);
}

function chain(
  extensions: readonly Extension[],
  l4Proto: number,
  body: Uint8Array,
): { next: number; bytes: Uint8Array } {
  return extensions.reduceRight<{ next: number; bytes: Uint8Array }>(
    ({ next, bytes }, extension) => ({
      next: extension.header,
      bytes: Buffer.concat([extension.encode(next), bytes]),
    }),
    { next: l4Proto, bytes: body },
  );
}

function withChecksum(segment: Segment, source: Uint8Array, destination: Uint8Array): Buffer {
  const bytes = Buffer.from(segment.bytes);
  if (segment.checksumAt === undefined) return bytes;
  const pseudo = segment.hasPseudoHeader
    ? [pseudoHeader(source, destination, segment.l4Proto, bytes.length)]
    : [];
  bytes.writeUInt16BE(internetChecksum(...pseudo, bytes) || 0xffff, segment.checksumAt);
  return bytes;
}

function slice(
  body: Uint8Array,
  cuts: readonly number[],
): { at: number; bytes: Uint8Array; more: boolean }[] {
  return [0, ...cuts].map((at, index) => ({
    at,
    bytes: body.subarray(at, cuts[index] ?? body.length),
    more: index < cuts.length,
  }));
}

function etherTypeOf(packet: Uint8Array): number {
  return (packet[0] ?? 0) >> 4 === 6 ? 0x86dd : 0x0800;
}
