import { encodeAttribute } from './attributes.ts';
import { encode64, encodeRateSpec, frameBytes } from './htb.ts';

/** A queue of a bounded length: packets that join more than `mostWholeBytes` of segments are split as they enter. */
export interface SplittingQueue {
  readonly mostWholeBytes: number;
  readonly queueBytes: number;
}

/** The kernel's word for the qdisc that is used for it. */
export const SPLITTING_KIND = 'tbf';

const TCA_OPTIONS = 2;
const TCA_TBF_PARMS = 1;
const TCA_TBF_RATE64 = 4;
const TCA_TBF_BURST = 6;
/* At that many bytes a second no packet costs the token bucket a nanosecond: it never holds one back. */
const NO_LIMIT_BYTES = 2 ** 55;
/* Stack and cards join up to this much in one packet (GSO_LEGACY_MAX_SIZE). */
const JOINED_BYTES = 65_536;
const LONGEST_JOINED_SECONDS = 0.001;
/*
 * A packet that is no joined one and longer than this is lost, so room for jumbo frames, should the interface be
 * switched to them behind our back.
 */
const JUMBO_BYTES = 9_216;
/* More than BIG TCP makes. */
const NEVER_SPLIT_BYTES = 1 << 20;
const QUEUE_SECONDS = 0.2;
/*
 * Three joined packets: TCP lets two of a flow wait, and one that is lost in this host halts its flow for half a second
 * (measured: 1 mbit with 80,000 bytes, 10 to 20 % below the rate). All fragments of the longest datagram fit in, too.
 */
const LEAST_QUEUE_BYTES = 3 * JOINED_BYTES;
const MOST_QUEUE_BYTES = 8 << 20;

/**
 * The queue for a class that may send `bytesPerSecond`. Where one packet of 64 KiB takes longer than a millisecond,
 * joined packets are split: at 500 kbit one would be a second of noise, and of the wait of all others.
 */
export function planQueue(bytesPerSecond: number, mtu: number): SplittingQueue {
  const splits = JOINED_BYTES / bytesPerSecond > LONGEST_JOINED_SECONDS;
  const queueBytes = Math.round(bytesPerSecond * QUEUE_SECONDS);
  return {
    mostWholeBytes: splits ? frameBytes(Math.max(mtu, JUMBO_BYTES)) : NEVER_SPLIT_BYTES,
    queueBytes: Math.min(Math.max(queueBytes, LEAST_QUEUE_BYTES), MOST_QUEUE_BYTES),
  };
}

/**
 * TCA_OPTIONS of TBF. It alone, of the qdiscs that every kernel has, splits what is longer than its bucket; a bucket
 * that is always full makes it that and nothing else. A change of it keeps what waits in it.
 */
export function encodeSplittingQueue(queue: SplittingQueue): Buffer {
  const options = Buffer.alloc(36); // struct tc_tbf_qopt: rate, peak rate (none), limit, buffer, mtu
  encodeRateSpec(NO_LIMIT_BYTES).copy(options, 0);
  options.writeUInt32LE(queue.queueBytes, 24);
  const burst = Buffer.alloc(4);
  burst.writeUInt32LE(queue.mostWholeBytes);
  return encodeAttribute(
    TCA_OPTIONS,
    Buffer.concat([
      encodeAttribute(TCA_TBF_PARMS, options),
      encodeAttribute(TCA_TBF_RATE64, encode64(NO_LIMIT_BYTES)),
      encodeAttribute(TCA_TBF_BURST, burst),
    ]),
  );
}
