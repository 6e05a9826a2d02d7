import { Protocol } from '../flow/protocol.ts';

/** SCTP (IANA). */
const SCTP = 132;

/**
 * What nobody sends: IP protocol 255 is reserved (IANA). A rule for names on it lets them be looked up where -dns=strict
 * would refuse that, and lets nothing pass.
 */
export const LOOKUP_ONLY = { l4Proto: 255, low: 0, high: 65_535 } as const;

/** Protocols of which a rule can name ports. */
export const PORTED: readonly number[] = [Protocol.tcp, Protocol.udp, SCTP];
