import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { DNS_PORT } from '../dns/resolver.ts';
import { listTcpSockets, TcpState } from '../netlink/sock-diag.ts';

/*
 * Caching services on the host and how each is told to forget. dnsmasq clears its cache on SIGHUP
 * (dnsmasq(8)); the others have a command.
 */
const SERVICES = [
  { comm: 'systemd-resolve', name: 'systemd-resolved', command: ['resolvectl', 'flush-caches'] },
  { comm: 'nscd', name: 'nscd', command: ['nscd', '--invalidate=hosts'] },
  { comm: 'dnsmasq', name: 'dnsmasq', command: undefined },
] as const;

/** Where the C library asks nscd, glibc nscd/nscd-client.h. */
const NSCD_SOCKET = '/var/run/nscd/socket';
/** Where nss-resolve asks systemd-resolved, nss-resolve(8). */
const RESOLVED_SOCKET = '/run/systemd/resolve/io.systemd.Resolve';

/**
 * Has the caching resolvers of this network namespace forget, so that the next lookups are answered
 * afresh and teach. Resolves to which were told; never rejects.
 * @param localPorts where else than on port 53 this host serves DNS
 */
export async function flushCaches(localPorts: readonly number[]): Promise<string[]> {
  if (!isCached([DNS_PORT, ...localPorts])) return []; // a look at every process would be the dearest part of a start
  const here = readlinkSync('/proc/self/ns/net');
  const told = new Set<string>();
  for (const { pid, comm } of listProcesses()) {
    const service = SERVICES.find((each) => each.comm === comm);
    if (!service || namespaceOf(pid) !== here) continue;
    if (service.command) {
      await runCommand(service.command);
    } else if (!signal(pid)) continue;
    told.add(service.name);
  }
  return [...told];
}

/* dnsmasq serves DNS, by TCP too; the C library asks the others by sockets of their own. */
function isCached(ports: readonly number[]): boolean {
  return (
    [NSCD_SOCKET, RESOLVED_SOCKET].some((path) => existsSync(path)) ||
    listTcpSockets().some(({ state, localPort }) => state === TcpState.listen && ports.includes(localPort))
  );
}

/* Resolves when it was started: what comes behind may forbid that. */
async function runCommand([command, ...args]: readonly [string, ...string[]]): Promise<void> {
  const { execFile } = await import('node:child_process');
  // Not there or refused: the cache's entries are asked again when they end.
  execFile(command, args, () => {});
}

function listProcesses(): { pid: number; comm: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    try {
      return [{ pid, comm: readFileSync(`/proc/${pid}/comm`, 'utf8').trim() }];
    } catch {
      return []; // it ended while we looked
    }
  });
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined; // gone
  }
}

function signal(pid: number): boolean {
  try {
    process.kill(pid, 'SIGHUP');
    return true;
  } catch {
    return false; // gone, or not ours to signal
  }
}
