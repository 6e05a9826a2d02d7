import { readFileSync } from 'node:fs';
import { hasLinkLayer, type Role } from '../datapath/attach.ts';
import { UsageError } from '../errors.ts';
import { readInterface } from '../libbpf/ifindex.ts';
import type { Link } from '../netlink/links.ts';
import type { RecordedInterface } from './run-dir.ts';

/** An interface by name with what it does. `ifindex` is absent while the interface is. */
export interface Served {
  readonly name: string;
  readonly learns: boolean;
  readonly enforces: boolean;
}

/** A served interface that is there. */
export interface Present extends Served, Role {
  readonly ifindex: number;
}

/**
 * What each named interface does, in the order given; one named both ways does both.
 * `withLoopback`: the resolver is a stub on this host, so answers come in on `lo` too.
 */
export function planInterfaces(
  learning: readonly string[],
  enforced: readonly string[],
  withLoopback: boolean,
): Served[] {
  const names = [...new Set([...learning, ...enforced, ...(withLoopback ? ['lo'] : [])])];
  if (enforced.includes('lo')) {
    throw new UsageError('interface "lo" cannot be enforced: give a way out of the host as -eface');
  }
  return names.map((name) => ({
    name,
    learns: learning.includes(name) || (withLoopback && name === 'lo'),
    enforces: enforced.includes(name),
  }));
}

/** The interface as it is now; undefined when it is not there. Throws SystemError. */
export function findInterface(served: Served): Present | undefined {
  const found = readInterface(served.name);
  return found && { ...served, ifindex: found.ifindex, hasLinkLayer: hasLinkLayer(found.arphrd) };
}

/** The interface of the default route, for the flag that was not given. Throws UsageError without one. */
export function findDefaultInterface(flag: string): string {
  const found = parseDefaultInterface(readProc('route'), readProc('ipv6_route'));
  if (found) return found;
  throw new UsageError(
    `-${flag} is not given and there is no default route to take it from: give it, as -${flag}=eth0`,
  );
}

function readProc(name: string): string {
  try {
    return readFileSync(`/proc/self/net/${name}`, 'utf8');
  } catch {
    return ''; // a kernel without that family has no such routes
  }
}

/* Kinds of virtual links that lead out of the host; a physical one has no kind. */
const WAYS_OUT = new Set([
  'bond',
  'vlan',
  'macvlan',
  'ipvlan',
  'tun',
  'wireguard',
  'gre',
  'gretap',
  'ip6gre',
  'ip6gretap',
  'ipip',
  'ip6tnl',
  'sit',
  'vti',
  'vti6',
  'xfrm',
  'vxlan',
  'geneve',
  'erspan',
  'ip6erspan',
  'team',
  'ppp',
  'wwan',
]);
const ARPHRD_LOOPBACK = 772;

/** Whether `-eface='*'` means this link: physical, bond, VLAN or tunnel; not bridges, their ports, or veth. */
export function isWayOut(link: Pick<Link, 'kind' | 'arphrd' | 'masterIfindex'>): boolean {
  if (link.arphrd === ARPHRD_LOOPBACK || link.masterIfindex !== undefined) return false;
  return link.kind === undefined || WAYS_OUT.has(link.kind);
}

/** The interfaces as the record of the instance has them; index 0 = not there. */
export function recordInterfaces(plan: readonly Served[], present: Iterable<Present>): RecordedInterface[] {
  const indexes = new Map([...present].map(({ name, ifindex }) => [name, ifindex]));
  return plan.map(({ name, learns, enforces }) => ({
    name,
    ifindex: indexes.get(name) ?? 0,
    learns,
    enforces,
  }));
}

/** The device of the default route, from /proc/net: no library has to be loaded for it. */
export function parseDefaultInterface(routes4: string, routes6: string): string | undefined {
  for (const line of routes4.split('\n').slice(1)) {
    const [name, destination, , , , , , mask] = line.split('\t');
    if (destination === '00000000' && mask === '00000000') return name;
  }
  for (const line of routes6.split('\n')) {
    const words = line.trim().split(/\s+/u);
    const name = words[9];
    if (/^0{32}$/u.test(words[0] ?? '') && words[1] === '00' && name && name !== 'lo') return name;
  }
  return undefined;
}
