/** What lies behind an IP header. `checksumAt`: where the checksum goes, which the IP layer computes. */
export interface Segment {
  readonly l4Proto: number;
  readonly bytes: Uint8Array;
  readonly checksumAt?: number;
  /** False for ICMP of IPv4, whose checksum does not cover the addresses. */
  readonly hasPseudoHeader?: boolean;
}

/** Parts of a TCP segment; `flags` are letters of `FSRPA`. */
export interface TcpParts {
  readonly from?: number;
  readonly to?: number;
  readonly flags?: string;
  readonly sequence?: number;
  readonly acknowledged?: number;
  readonly payload?: Uint8Array;
  /** TCP options, a multiple of 4 bytes. */
  readonly options?: Uint8Array;
  /** In place of the true header length, in words. */
  readonly dataOffset?: number;
}

/** Ports of the client and the servers where a test names none. */
export const CLIENT_PORT = 40_000;
export const WEB_PORT = 443;

const NOTHING = new Uint8Array(0);
const TCP_FLAGS = 'FSRPA';

export function tcp({
  from = CLIENT_PORT,
  to = WEB_PORT,
  flags = 'S',
  sequence = 0x01020304,
  acknowledged = 0,
  payload = NOTHING,
  options = NOTHING,
  dataOffset = 5 + options.length / 4,
}: TcpParts = {}): Segment {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  header.writeUInt32BE(sequence >>> 0, 4);
  header.writeUInt32BE(acknowledged >>> 0, 8);
  header.writeUInt8(dataOffset << 4, 12);
  header.writeUInt8(
    [...flags].reduce((bits, flag) => bits | (1 << TCP_FLAGS.indexOf(flag)), 0),
    13,
  );
  header.writeUInt16BE(0xfaf0, 14);
  return {
    l4Proto: 6,
    bytes: Buffer.concat([header, options, payload]),
    checksumAt: 16,
    hasPseudoHeader: true,
  };
}

/** A segment in the middle of a connection. */
export function tcpData(parts: TcpParts = {}): Segment {
  return tcp({ flags: 'PA', acknowledged: 0x0a0b0c0d, payload: Buffer.from('data'), ...parts });
}

export interface UdpParts {
  readonly from?: number;
  readonly to?: number;
  readonly payload?: Uint8Array;
  readonly l4Proto?: number;
}

export function udp({
  from = CLIENT_PORT,
  to = WEB_PORT,
  payload = Buffer.from('datagram'),
  l4Proto = 17,
}: UdpParts = {}): Segment {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  return { l4Proto, bytes: Buffer.concat([header, payload]), checksumAt: 6, hasPseudoHeader: true };
}

export interface IcmpParts {
  readonly type: number;
  readonly code?: number;
  readonly identifier?: number;
  readonly payload?: Uint8Array;
}

/** ICMP of IPv4. */
export function icmp(parts: IcmpParts): Segment {
  return { l4Proto: 1, bytes: icmpBytes(parts), checksumAt: 2, hasPseudoHeader: false };
}

export function icmpv6(parts: IcmpParts): Segment {
  return { l4Proto: 58, bytes: icmpBytes(parts), checksumAt: 2, hasPseudoHeader: true };
}

/** A neighbour solicitation for `target`, 16 bytes. */
export function neighbourSolicitation(target: Uint8Array): Segment {
  return icmpv6({ type: 135, payload: target });
}

/** An SCTP INIT; its CRC32c is left zero, nothing here looks at it. */
export function sctp({ from = CLIENT_PORT, to = WEB_PORT }: { from?: number; to?: number } = {}): Segment {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt16BE(from, 0);
  bytes.writeUInt16BE(to, 2);
  bytes.writeUInt8(1, 12);
  return { l4Proto: 132, bytes };
}

/** Any other protocol. */
export function raw(l4Proto: number, bytes: Uint8Array = Buffer.alloc(24)): Segment {
  return { l4Proto, bytes };
}

function icmpBytes({ type, code = 0, identifier = 0, payload = NOTHING }: IcmpParts): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(type, 0);
  header.writeUInt8(code, 1);
  header.writeUInt16BE(identifier, 4);
  return Buffer.concat([header, payload]);
}
