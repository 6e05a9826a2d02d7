import { Protocol } from '../flow/protocol.ts';

/** SCTP (IANA). */
const SCTP = 132;

/** Protocols of which a rule can name ports. */
export const PORTED: readonly number[] = [Protocol.tcp, Protocol.udp, SCTP];
