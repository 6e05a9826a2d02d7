import { type Attributes, decodeAttributes, encodeAttribute } from './attributes.ts';

/** What an HTB class may send, in bytes a second of whole frames: `rate` of its own, `ceil` with what it borrows. */
export interface HtbRates {
  readonly rateBytes: number;
  readonly ceilBytes: number;
}

const TCA_OPTIONS = 2;
const TCA_HTB_PARMS = 1;
const TCA_HTB_INIT = 2;
const TCA_HTB_DIRECT_QLEN = 5;
const TCA_HTB_RATE64 = 6;
const TCA_HTB_CEIL64 = 7;
/* TC_HTB_PROTOVER */
const PROTOCOL_VERSION = 3;
const RATE_TO_QUANTUM = 10;
/* Without rate tables: any linklayer but TC_LINKLAYER_UNAWARE lets the kernel reckon (Linux 3.8). */
const TC_LINKLAYER_ETHERNET = 1;
const MOST_32 = 0xffffffff;
/* PSCHED_SHIFT: times of the packet scheduler go to the kernel in units of 64 ns. */
const TICK_NANOSECONDS = 64;
const LINK_HEADERS_BYTES = 64;
/*
 * Tokens pile up no further than this while the kernel is late to look, so that its rate holds though a timer of a
 * busy host, or of one with 100 ticks a second, comes that late.
 */
const BURST_SECONDS = 0.02;
/* How long a class may send when several have something to borrow; the kernel warns outside 1,000 to 200,000. */
const QUANTUM_SECONDS = 0.01;
const MOST_QUANTUM_BYTES = 200_000;

/**
 * TCA_OPTIONS of the qdisc: what no class is found for goes to class `defaultMinor`, or unshaped when that is not
 * there; of the unshaped, `directPackets` may wait (the kernel would take the interface's txqueuelen, which may be 0).
 */
export function encodeHtb(defaultMinor: number, directPackets: number): Buffer {
  const global = Buffer.alloc(20); // struct tc_htb_glob
  global.writeUInt32LE(PROTOCOL_VERSION, 0);
  global.writeUInt32LE(RATE_TO_QUANTUM, 4);
  global.writeUInt32LE(defaultMinor, 8);
  const direct = Buffer.alloc(4);
  direct.writeUInt32LE(directPackets);
  return encodeAttribute(
    TCA_OPTIONS,
    Buffer.concat([encodeAttribute(TCA_HTB_INIT, global), encodeAttribute(TCA_HTB_DIRECT_QLEN, direct)]),
  );
}

/** TCA_OPTIONS of a class on an interface with this MTU. */
export function encodeHtbClass(rates: HtbRates, mtu: number): Buffer {
  const options = Buffer.alloc(44); // struct tc_htb_opt
  encodeRateSpec(rates.rateBytes).copy(options, 0);
  encodeRateSpec(rates.ceilBytes).copy(options, 12);
  options.writeUInt32LE(burstTicks(rates.rateBytes, mtu), 24);
  options.writeUInt32LE(burstTicks(rates.ceilBytes, mtu), 28);
  options.writeUInt32LE(quantumBytes(rates.rateBytes, mtu), 32);
  return encodeAttribute(
    TCA_OPTIONS,
    Buffer.concat([
      encodeAttribute(TCA_HTB_PARMS, options),
      encodeAttribute(TCA_HTB_RATE64, encode64(rates.rateBytes)),
      encodeAttribute(TCA_HTB_CEIL64, encode64(rates.ceilBytes)),
    ]),
  );
}

/** Rates in the options of a class as the kernel tells them; `undefined` when they are not an HTB class's. */
export function decodeHtbRates(options: Buffer): HtbRates | undefined {
  const attributes = decodeAttributes(options);
  const fixed = attributes.get(TCA_HTB_PARMS);
  if (fixed === undefined || fixed.length < 44) return undefined;
  return {
    rateBytes: decode64(attributes, TCA_HTB_RATE64) ?? fixed.readUInt32LE(8),
    ceilBytes: decode64(attributes, TCA_HTB_CEIL64) ?? fixed.readUInt32LE(20),
  };
}

/** Bytes of a whole frame of the largest packet, whatever tags it has. */
export function frameBytes(mtu: number): number {
  return mtu + LINK_HEADERS_BYTES;
}

/** How much a class may send at once after it was still, as the time its rate takes for that. */
export function burstTicks(rateBytes: number, mtu: number): number {
  const bytes = Math.max(2 * frameBytes(mtu), rateBytes * BURST_SECONDS);
  return Math.min(Math.ceil((bytes / rateBytes) * (1e9 / TICK_NANOSECONDS)), MOST_32);
}

function quantumBytes(rateBytes: number, mtu: number): number {
  const wanted = Math.round(rateBytes * QUANTUM_SECONDS);
  return Math.min(Math.max(frameBytes(mtu), wanted), MOST_QUANTUM_BYTES);
}

/** struct tc_ratespec; a rate past 32 bits stands in an attribute of its own, and the larger one counts. */
export function encodeRateSpec(bytesPerSecond: number): Buffer {
  const spec = Buffer.alloc(12);
  spec.writeUInt8(TC_LINKLAYER_ETHERNET, 1);
  spec.writeUInt32LE(Math.min(bytesPerSecond, MOST_32), 8);
  return spec;
}

/** A 64-bit number of an attribute. */
export function encode64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function decode64(attributes: Attributes, attributeType: number): number | undefined {
  const bytes = attributes.get(attributeType);
  return bytes && Number(bytes.readBigUInt64LE());
}
