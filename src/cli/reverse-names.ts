import { Resolver } from 'node:dns/promises';

/** All questions together may take this long. */
const LIMIT_MS = 2_000;
/** Addresses that are asked for. */
const MAX_ADDRESSES = 256;

/**
 * The names that DNS has for addresses, by address; what is not answered in two seconds stays without one. Anybody may
 * say any name of an address that is theirs.
 *
 * @param servers as -resolver takes them
 */
export async function findReverseNames(
  addresses: readonly string[],
  servers: readonly string[],
): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  if (addresses.length === 0 || servers.length === 0) return names;
  const resolver = new Resolver({ timeout: LIMIT_MS, tries: 1 });
  const usable = servers.filter((server) => canAsk(resolver, server));
  if (usable.length === 0) return names;
  resolver.setServers(usable);
  const limit = setTimeout(() => resolver.cancel(), LIMIT_MS);
  try {
    await Promise.all(
      addresses.slice(0, MAX_ADDRESSES).map(async (address) => {
        const [name] = await resolver.reverse(address).catch(() => []); // it has none, or nobody answers
        if (name !== undefined) names.set(address, name);
      }),
    );
  } finally {
    clearTimeout(limit);
  }
  return names;
}

/* Such as one with the scope of an interface that is not here. */
function canAsk(resolver: Resolver, server: string): boolean {
  try {
    resolver.setServers([server]);
    return true;
  } catch {
    return false;
  }
}
