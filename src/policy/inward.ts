import { contains, parsePrefix } from './prefix.ts';

/** Where an answer from outside has no business to point; the closed list of the design. */
export const INWARD_PREFIXES = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '224.0.0.0/3',
  '::/128',
  '::1/128',
  'fe80::/10',
  'fc00::/7',
  'ff00::/8',
].map((text) => parsePrefix(text).prefix);

/**
 * Whether no answer may teach this address unless a rule says so. An address is 16 bytes, of an A record
 * ::ffff:a.b.c.d; an AAAA record with such an address is inward for its form, whatever this says, and
 * who reads records must skip it.
 */
export function isInward(addr16: Uint8Array, ownAddresses: readonly Uint8Array[]): boolean {
  return (
    INWARD_PREFIXES.some((prefix) => contains(prefix, addr16)) ||
    ownAddresses.some((own) => own.every((byte, index) => byte === addr16[index]))
  );
}
