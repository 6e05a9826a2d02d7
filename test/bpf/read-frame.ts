import assert from 'node:assert/strict';
import { formatAddress } from '../../src/policy/prefix.ts';
import { internetChecksum, pseudoHeader } from './checksum.ts';

/** A packet whose lengths and checksums hold. `l4` is what lies behind the IP header, no padding. */
export interface ReadPacket {
  readonly from: string;
  readonly to: string;
  readonly hops: number;
  readonly l4Proto: number;
  readonly l4: Buffer;
}

/** An Ethernet frame; `tags` are ethertypes. */
export interface ReadFrame extends ReadPacket {
  readonly toMac: Buffer;
  readonly fromMac: Buffer;
  readonly tags: readonly number[];
}

const VLAN_TYPES = [0x8100, 0x88a8];
const UDP = 17;

/** Reads a frame that must be without fault: options, extension headers and fragments are faults too. */
export function readFrame(frame: Buffer): ReadFrame {
  let at = 12;
  const tags: number[] = [];
  while (VLAN_TYPES.includes(frame.readUInt16BE(at))) {
    tags.push(frame.readUInt16BE(at));
    at += 4;
  }
  const etherType = frame.readUInt16BE(at);
  const packet = readPacket(frame.subarray(at + 2));
  assert.equal(etherType, packet.from.includes(':') ? 0x86dd : 0x0800, 'ethertype');
  return { ...packet, tags, toMac: frame.subarray(0, 6), fromMac: frame.subarray(6, 12) };
}

/** The same without a link layer. */
export function readPacket(bytes: Buffer): ReadPacket {
  const isIpv4 = bytes.readUInt8(0) >> 4 === 4;
  const { source, destination, ...packet } = isIpv4 ? readIpv4(bytes) : readIpv6(bytes);
  checkL4(packet.l4Proto, packet.l4, source, destination);
  return { ...packet, from: textOf(source), to: textOf(destination) };
}

interface RawPacket {
  readonly source: Buffer;
  readonly destination: Buffer;
  readonly hops: number;
  readonly l4Proto: number;
  readonly l4: Buffer;
}

function readIpv4(bytes: Buffer): RawPacket {
  assert.equal(bytes.readUInt8(0), 0x45, 'version and IHL');
  assert.equal(internetChecksum(bytes.subarray(0, 20)), 0, 'checksum of the IPv4 header');
  assert.equal(bytes.readUInt16BE(6) & 0x3fff, 0, 'a fragment');
  const total = bytes.readUInt16BE(2);
  assert.ok(total >= 20 && total <= bytes.length, `total length ${total} of ${bytes.length} bytes`);
  return {
    source: bytes.subarray(12, 16),
    destination: bytes.subarray(16, 20),
    hops: bytes.readUInt8(8),
    l4Proto: bytes.readUInt8(9),
    l4: bytes.subarray(20, total),
  };
}

function readIpv6(bytes: Buffer): RawPacket {
  assert.equal(bytes.readUInt8(0) >> 4, 6, 'version');
  const payload = bytes.readUInt16BE(4);
  assert.ok(40 + payload <= bytes.length, `payload length ${payload} of ${bytes.length} bytes`);
  return {
    source: bytes.subarray(8, 24),
    destination: bytes.subarray(24, 40),
    hops: bytes.readUInt8(7),
    l4Proto: bytes.readUInt8(6),
    l4: bytes.subarray(40, 40 + payload),
  };
}

function checkL4(l4Proto: number, l4: Buffer, source: Buffer, destination: Buffer): void {
  if (l4Proto === UDP) {
    assert.equal(l4.readUInt16BE(4), l4.length, 'UDP length');
    // RFC 768: zero is no checksum, legal in IPv4 only.
    if (source.length === 4 && l4.readUInt16BE(6) === 0) return;
    assert.notEqual(l4.readUInt16BE(6), 0, 'UDP checksum of IPv6');
  }
  const pseudo = l4Proto === 1 ? [] : [pseudoHeader(source, destination, l4Proto, l4.length)];
  assert.equal(internetChecksum(...pseudo, l4), 0, `checksum of protocol ${l4Proto}`);
}

function textOf(address: Buffer): string {
  return address.length === 4 ? address.join('.') : formatAddress(address);
}
