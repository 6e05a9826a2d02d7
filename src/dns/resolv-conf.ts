import { DNS_PORT, isUnspecified, parseAddress, type Resolver } from './resolver.ts';

/** Nameserver lines that glibc looks at (MAXNS). */
export const MAX_NAMESERVERS = 3;

/** `unreadable`: the addresses, as written, of nameserver lines that were skipped. */
export interface ResolvConf {
  readonly nameservers: readonly Resolver[];
  readonly unreadable: readonly string[];
}

/** `max`: how many nameserver lines count; default MAX_NAMESERVERS. */
export interface ResolvConfOptions {
  readonly max?: number;
}

const LOOPBACK: Resolver = {
  addr16: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1),
  port: DNS_PORT,
};
const LOOPBACK_6: Resolver = {
  addr16: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
  port: DNS_PORT,
};

/**
 * The resolvers that a resolv.conf(5) names, as glibc reads it: `nameserver` begins the line, a comment
 * has # or ; there, what follows the address is ignored, without any such line it is 127.0.0.1.
 * Stricter than glibc in one thing: IPv4 in octal or short form is unreadable, and gives nothing.
 */
export function parseResolvConf(text: string, { max = MAX_NAMESERVERS }: ResolvConfOptions = {}): ResolvConf {
  const nameservers: Resolver[] = [];
  const unreadable: string[] = [];
  for (const line of text.split('\n')) {
    const written = /^nameserver[ \t]+([^ \t\r]+)/u.exec(line)?.[1];
    if (written === undefined) continue;
    const resolver = parseAddress(written, DNS_PORT);
    if (resolver) nameservers.push(reachable(resolver));
    else unreadable.push(written);
  }
  if (nameservers.length === 0 && unreadable.length === 0) nameservers.push(LOOPBACK);
  return { nameservers: nameservers.slice(0, max), unreadable };
}

/** Packets to the unspecified address go to loopback on Linux. */
function reachable(resolver: Resolver): Resolver {
  if (!isUnspecified(resolver.addr16)) return resolver;
  return resolver.addr16[10] === 0xff ? LOOPBACK : LOOPBACK_6;
}
