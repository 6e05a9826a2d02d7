/**
 * What may leave, written from the RFCs and the design and not from the C; what rules say of a first packet is asked of
 * `permits`. It may say yes too often (it never forgets a flow, nor who called), never too seldom.
 */
export interface ModelPolicy {
  /** Whether rules let a first packet pass. `to` is the address in hex, `port` of ICMP the type, 0 where there is none. */
  permits(to: string, l4Proto: number, port: number): boolean;
  /** Hex of the on-link prefix, a /64. */
  readonly onLink: string;
}

interface Datagram {
  readonly isIpv4: boolean;
  readonly source: string;
  readonly destination: string;
  readonly hops: number;
  readonly proto: number;
  /** Behind the IP header and extension headers, to the end of the IP packet. */
  readonly body: Buffer;
  /** Identity of the fragments of one packet; absent = not a fragment. */
  readonly fragmentOf?: string;
  readonly fragmentAt: number;
}

const [ICMP, TCP, UDP, ICMPV6, SCTP, UDP_LITE] = [1, 6, 17, 58, 132, 136];
/** Those whose second number is the port that a packet goes to. */
const PORTED = [TCP, UDP, SCTP, UDP_LITE];
const MAPPED = '00000000000000000000ffff';

/** Remembers what passed and who called, since fragments, replies and ICMP errors follow it. */
export class PacketModel {
  /** In force; flows outlive a change. */
  policy: ModelPolicy;
  readonly #readLink: typeof readLink;
  readonly #firsts = new Set<string>();
  readonly #flows = new Set<string>();
  readonly #dhcpServers = new Set<string>();

  /** @param hasLink whether frames begin with an Ethernet header */
  constructor(policy: ModelPolicy, hasLink: boolean) {
    this.policy = policy;
    this.#readLink = hasLink ? readLink : readRaw;
  }

  /** Whether the frame may leave. Call `passed` for one that did. */
  mayPass(frame: Buffer): boolean {
    const found = this.#readLink(frame);
    if (found === 'arp') return true;
    const datagram = found && readDatagram(found.packet, found.isIpv4);
    if (!datagram) return false;
    const { proto, body, destination, fragmentOf, fragmentAt } = datagram;
    if (fragmentOf !== undefined && fragmentAt > 0) {
      // RFC 3128: not into the TCP header.
      return this.#firsts.has(fragmentOf) && !(proto === TCP && fragmentAt < 24);
    }
    if (!isWholeHeader(datagram)) return false;
    if (fragmentOf === undefined && this.#isUpkeep(datagram)) return true;
    const port = icmpTypeOf(datagram) ?? (PORTED.includes(proto) ? body.readUInt16BE(2) : 0);
    if (this.policy.permits(destination, proto, port)) return true;
    // A SYN is always judged anew.
    const isFirst = proto === TCP && (body.readUInt8(13) & 0x12) === 0x02;
    return (!isFirst && this.#flows.has(flowKey(datagram))) || this.#isErrorOfFlow(datagram);
  }

  /** A frame came in: whoever calls is answered. There are no sockets here that a datagram could call. */
  arrived(frame: Buffer): void {
    const found = this.#readLink(frame);
    const datagram = found && found !== 'arp' && readDatagram(found.packet, found.isIpv4);
    if (!datagram || datagram.fragmentAt > 0 || !isWholeHeader(datagram)) return;
    const { isIpv4, proto, body, source, destination } = datagram;
    if (proto === TCP && (body.readUInt8(13) & 0x16) === 0x02) {
      const [from, to] = [body.readUInt16BE(0), body.readUInt16BE(2)];
      this.#flows.add([proto, destination, to, source, from].join(' '));
    }
    if (icmpTypeOf(datagram) === (isIpv4 ? 8 : 128)) {
      const reply = isIpv4 ? 0 : 129;
      this.#flows.add([proto, destination, body.readUInt16BE(4), source, reply].join(' '));
    }
    if (isIpv4 && proto === UDP && body.readUInt32BE(0) === ((67 << 16) | 68)) this.#dhcpServers.add(source);
  }

  passed(frame: Buffer): void {
    const found = this.#readLink(frame);
    const datagram = found && found !== 'arp' && readDatagram(found.packet, found.isIpv4);
    if (!datagram) return;
    const { fragmentOf, fragmentAt } = datagram;
    if (fragmentAt > 0) return;
    if (fragmentOf !== undefined) this.#firsts.add(fragmentOf);
    this.#flows.add(flowKey(datagram));
  }

  #isUpkeep(datagram: Datagram): boolean {
    if (isLinkUpkeep(datagram, this.policy.onLink)) return true;
    const { isIpv4, proto, body, destination } = datagram;
    // To a server that has answered.
    const isDhcp = isIpv4 && proto === UDP && body.readUInt32BE(0) === ((68 << 16) | 67);
    return isDhcp && this.#dhcpServers.has(destination);
  }

  /** An ICMP error about a packet that came back on a flow. */
  #isErrorOfFlow({ isIpv4, proto, body, destination }: Datagram): boolean {
    const type = body[0] ?? 0;
    if (isIpv4 ? proto !== ICMP || ![3, 11, 12].includes(type) : proto !== ICMPV6 || type < 1 || type > 4)
      return false;
    const quote = body.subarray(8);
    const headerBytes = isIpv4 ? ((quote[0] ?? 0) & 0xf) * 4 : 40;
    if (quote.length < headerBytes + 4 || headerBytes < 20) return false;
    const ends = isIpv4 ? ([12, 16, 20] as const) : ([8, 24, 40] as const);
    const [from, to] = [hex(quote, ends[0], ends[1]), hex(quote, ends[1], ends[2])];
    const [remotePort, localPort] = [quote.readUInt16BE(headerBytes), quote.readUInt16BE(headerBytes + 2)];
    const quotedProto = quote[isIpv4 ? 9 : 6];
    return from === destination && this.#flows.has([quotedProto, to, localPort, from, remotePort].join(' '));
  }
}

function readLink(frame: Buffer): { readonly packet: Buffer; readonly isIpv4: boolean } | 'arp' | undefined {
  let at = 12;
  for (let tags = 0; ; tags += 1) {
    if (frame.length < at + 2) return undefined;
    const etherType = frame.readUInt16BE(at);
    if (etherType === 0x0806) return 'arp';
    if (etherType === 0x0800 || etherType === 0x86dd) {
      return { packet: frame.subarray(at + 2), isIpv4: etherType === 0x0800 };
    }
    if ((etherType !== 0x8100 && etherType !== 0x88a8) || tags === 2) return undefined;
    at += 4;
  }
}

/** A frame of a device without a link layer. */
function readRaw(frame: Buffer): { readonly packet: Buffer; readonly isIpv4: boolean } | undefined {
  const version = (frame[0] ?? 0) >> 4;
  return version === 4 || version === 6 ? { packet: frame, isIpv4: version === 4 } : undefined;
}

/** Protocol, local end, remote end; of ICMP the identifier of an echo and the type stand for ports. */
function flowKey(datagram: Datagram): string {
  const { isIpv4, proto, source, body, destination } = datagram;
  const icmpType = icmpTypeOf(datagram);
  const isEcho = icmpType !== undefined && (isIpv4 ? [0, 8] : [128, 129]).includes(icmpType);
  const isPorted = PORTED.includes(proto);
  const local = isPorted ? body.readUInt16BE(0) : isEcho ? body.readUInt16BE(4) : 0;
  const remote = isPorted ? body.readUInt16BE(2) : (icmpType ?? 0);
  return [proto, source, local, destination, remote].join(' ');
}

/** Undefined for other protocols, and for ICMP of the other family. */
function icmpTypeOf({ isIpv4, proto, body }: Datagram): number | undefined {
  return proto === (isIpv4 ? ICMP : ICMPV6) ? body.readUInt8(0) : undefined;
}

function readDatagram(packet: Buffer, isIpv4: boolean): Datagram | undefined {
  return isIpv4 ? readIpv4(packet) : readIpv6(packet);
}

function readIpv4(packet: Buffer): Datagram | undefined {
  if (packet.length < 20 || packet.readUInt8(0) >> 4 !== 4) return undefined;
  const header = (packet.readUInt8(0) & 0xf) * 4;
  const total = packet.readUInt16BE(2);
  if (header < 20 || total < header || total > packet.length) return undefined;
  if (!areOptionsHarmless(packet.subarray(20, header))) return undefined;
  const [source, destination] = [hex(packet, 12, 16), hex(packet, 16, 20)];
  const flags = packet.readUInt16BE(6);
  const fragmentAt = (flags & 0x1fff) * 8;
  const isFragment = fragmentAt > 0 || (flags & 0x2000) !== 0;
  const proto = packet.readUInt8(9);
  return {
    isIpv4: true,
    source,
    destination,
    hops: packet.readUInt8(8),
    proto,
    body: packet.subarray(header, total),
    fragmentAt,
    ...(isFragment && { fragmentOf: [source, destination, proto, packet.readUInt16BE(4)].join(' ') }),
  };
}

/** No source route with hosts ahead, and lengths that fit (RFC 791 3.1). */
function areOptionsHarmless(options: Buffer): boolean {
  for (let at = 0; at < options.length; ) {
    const kind = options[at];
    if (kind === 0) return true;
    if (kind === 1) {
      at += 1;
      continue;
    }
    const length = options[at + 1] ?? 0;
    if (length < 2 || at + length > options.length) return false;
    const isRoute = kind === 131 || kind === 137;
    if (isRoute && (length < 3 || (options[at + 2] ?? 0) <= length)) return false;
    at += length;
  }
  return true;
}

function readIpv6(packet: Buffer): Datagram | undefined {
  if (packet.length < 40 || packet.readUInt8(0) >> 4 !== 6) return undefined;
  const end = 40 + packet.readUInt16BE(4);
  if (end > packet.length) return undefined;
  const [source, destination] = [hex(packet, 8, 24), hex(packet, 24, 40)];
  if (source.startsWith(MAPPED) || destination.startsWith(MAPPED)) return undefined;
  const hops = packet.readUInt8(7);
  const ends = { isIpv4: false, source, destination, hops } as const;
  let fragmentOf: string | undefined;
  let proto = packet.readUInt8(6);
  let at = 40;
  while ([0, 43, 44, 51, 60].includes(proto)) {
    if (at + 8 > end) return undefined;
    const [next, units, , left] = [...packet.subarray(at, at + 4)];
    if (proto === 43 && left !== 0) return undefined;
    if (proto === 44) {
      const offset = packet.readUInt16BE(at + 2);
      const isAtomic = (offset & 0xfff9) === 0;
      if (!isAtomic && fragmentOf !== undefined) return undefined;
      if (!isAtomic) {
        fragmentOf = [source, destination, next, packet.readUInt32BE(at + 4)].join(' ');
        const fragmentAt = offset & 0xfff8;
        // What a later fragment holds is not a header.
        if (fragmentAt > 0) {
          return { ...ends, proto: next ?? 0, body: packet.subarray(at + 8, end), fragmentOf, fragmentAt };
        }
      }
      at += 8;
    } else {
      at += proto === 51 ? ((units ?? 0) + 2) * 4 : ((units ?? 0) + 1) * 8;
    }
    proto = next ?? 0;
  }
  if (at > end) return undefined;
  const body = packet.subarray(at, end);
  return { ...ends, proto, body, fragmentAt: 0, ...(fragmentOf !== undefined && { fragmentOf }) };
}

/** The ports or type can be read, and a TCP header is there in full. */
function isWholeHeader({ isIpv4, proto, body }: Datagram): boolean {
  if (proto === TCP) {
    if (body.length < 20) return false;
    const dataOffset = (body.readUInt8(12) >> 4) * 4;
    return dataOffset >= 20 && dataOffset <= body.length;
  }
  if (proto === UDP || proto === UDP_LITE || proto === (isIpv4 ? ICMP : ICMPV6)) return body.length >= 8;
  return proto !== SCTP || body.length >= 12;
}

/** Neighbour discovery, MLD, router solicitation and DHCP, as the design narrows them. */
function isLinkUpkeep({ isIpv4, destination, hops, proto, body }: Datagram, onLink: string): boolean {
  const isMulticast = destination.startsWith('ff');
  if (!isIpv4 && proto === ICMPV6) {
    const type = body.readUInt8(0);
    const isNear = isMulticast || /^fe[89ab]/u.test(destination) || destination.startsWith(onLink);
    if ([133, 135, 136].includes(type)) return hops === 255 && isNear;
    return [131, 132, 143].includes(type) && hops === 1 && isMulticast;
  }
  if (proto !== UDP) return false;
  const ports = `${body.readUInt16BE(0)} ${body.readUInt16BE(2)}`;
  if (isIpv4) return ports === '68 67' && destination === 'ffffffff';
  return ports === '546 547' && destination === 'ff020000000000000000000000010002';
}

function hex(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('hex', from, to);
}
