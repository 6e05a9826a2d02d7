import ipaddr from 'ipaddr.js';
import { isMapped } from '../policy/prefix.ts';

/**
 * The text of a 16-byte address (RFC 5952), of ::ffff:a.b.c.d the IPv4 address.
 * For an address that stood as v4-mapped in an IPv6 header give `family` ipv6: it keeps its prefix.
 */
export function formatAddress(addr16: Uint8Array, family?: 'ipv4' | 'ipv6'): string {
  if (!isMapped(addr16)) return new ipaddr.IPv6([...addr16]).toRFC5952String();
  const dotted = `${addr16[12]}.${addr16[13]}.${addr16[14]}.${addr16[15]}`;
  return family === 'ipv6' ? `::ffff:${dotted}` : dotted;
}
