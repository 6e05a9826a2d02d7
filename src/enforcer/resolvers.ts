import { readFileSync } from 'node:fs';
import { parseResolvConf } from '../dns/resolv-conf.ts';
import { DNS_PORT, isLoopback, type Resolver } from '../dns/resolver.ts';
import { UsageError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';

/** Files that say who resolves names on this host. */
export interface ResolverFiles {
  readonly resolvConf: string;
  /** systemd-resolved writes its upstream servers there. */
  readonly resolvedUpstreams: string;
}

export const HOST_FILES: ResolverFiles = {
  resolvConf: '/etc/resolv.conf',
  resolvedUpstreams: '/run/systemd/resolve/resolv.conf',
};

/** The most DNS ports that the resolvers of one policy may have together. */
export const MAX_DNS_PORTS = 4;
/** The most resolvers of one policy. */
const MAX_RESOLVERS = 64;

/**
 * The trusted resolvers: those given, else those of resolv.conf and, where that points at a stub on
 * loopback, systemd-resolved's upstreams. `remarks` says what was left out.
 */
export function findResolvers(
  given: readonly Resolver[],
  files: ResolverFiles = HOST_FILES,
): { resolvers: readonly Resolver[]; remarks: readonly string[] } {
  if (given.length > 0) return { resolvers: checkBounds(unique(given)), remarks: [] };
  const own = readConf(files.resolvConf);
  const resolvers = [...own.nameservers];
  const remarks = own.unreadable.map(
    (text) => `${files.resolvConf}: nameserver "${text}" is not an address; left out`,
  );
  if (resolvers.some(isLoopback)) resolvers.push(...readConf(files.resolvedUpstreams).nameservers);
  return { resolvers: unique(resolvers), remarks };
}

function checkBounds(resolvers: readonly Resolver[]): readonly Resolver[] {
  if (resolvers.length > MAX_RESOLVERS) {
    throw new UsageError(`-resolver has ${resolvers.length} resolvers: at most ${MAX_RESOLVERS} are legal`);
  }
  const ports = dnsPorts(resolvers);
  if (ports.length > MAX_DNS_PORTS) {
    throw new UsageError(
      `-resolver has the ports ${ports.join(', ')}: at most ${MAX_DNS_PORTS} different ones are legal`,
    );
  }
  return resolvers;
}

/** Whether resolv.conf names any resolver by itself. */
export function namesResolver(files: ResolverFiles = HOST_FILES): boolean {
  return /^nameserver[ \t]/mu.test(readText(files.resolvConf));
}

/** A resolver as text, with its port where that is not 53. */
export function formatResolver({ addr16, port }: Resolver): string {
  const address = formatAddress(addr16);
  if (port === DNS_PORT) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The ports of the resolvers, each once. */
export function dnsPorts(resolvers: readonly Resolver[]): number[] {
  return [...new Set(resolvers.map((resolver) => resolver.port))];
}

function readConf(path: string): ReturnType<typeof parseResolvConf> {
  const text = readText(path);
  return text === '' ? { nameservers: [], unreadable: [] } : parseResolvConf(text);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // no such file: the host has no such service
  }
}

function unique(resolvers: readonly Resolver[]): Resolver[] {
  const seen = new Map(
    resolvers.map((resolver) => [
      `${Buffer.from(resolver.addr16).toString('hex')}:${resolver.port}`,
      resolver,
    ]),
  );
  return [...seen.values()];
}
