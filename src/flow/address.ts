import ipaddr from 'ipaddr.js';

/**
 * The text of a 16-byte address (RFC 5952), of ::ffff:a.b.c.d the IPv4 address.
 * For an address that stood as v4-mapped in an IPv6 header give `family` ipv6: it keeps its prefix.
 */
export function formatAddress(addr16: Uint8Array, family?: 'ipv4' | 'ipv6'): string {
  const address = new ipaddr.IPv6([...addr16]);
  if (!address.isIPv4MappedAddress()) return address.toRFC5952String();
  const dotted = addr16.subarray(12).join('.');
  return family === 'ipv6' ? `::ffff:${dotted}` : dotted;
}
