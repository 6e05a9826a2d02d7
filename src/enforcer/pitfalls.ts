import { networkInterfaces } from 'node:os';
import type { Shares } from '../datapath/compiled-policy.ts';
import { LIMITS } from '../datapath/layout.ts';
import { isLoopback, type Resolver } from '../dns/resolver.ts';
import { SystemError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import { connectUdp } from '../libbpf/udp-socket.ts';
import type { Policy, SubjectPolicy } from '../policy/policy.ts';
import { matchesPort } from '../policy/port.ts';
import type { Present } from './interfaces.ts';
import { formatResolver } from './resolvers.ts';

const TCP = 6;
/** Of a name. */
const PROMISED_ADDRESSES = 64;

/** What is in force, as far as it can be a pitfall. */
interface Served {
  readonly subjects: readonly SubjectPolicy[];
  readonly present: readonly Present[];
  readonly resolvers: readonly Resolver[];
  readonly isEveryWay: boolean;
  readonly shares: Shares;
}

/** What is legal but seldom meant, a sentence each. Asks the routing table, not the network. */
export function findPitfalls({ subjects, present, resolvers, isEveryWay, shares }: Served): string[] {
  const learning = new Set(present.filter(({ learns }) => learns).map(({ name }) => name));
  const host = subjects.find(({ subject }) => subject.kind === 'host')?.policy;
  const ways = present.filter(({ enforces }) => enforces);
  return [
    ...(isEveryWay && ways.length === 0 ? [nothingEnforced()] : []),
    ...(host ? sshRefused(host.inbound) : []),
    ...narrowShares(shares),
    ...(host ? resolvers.flatMap((resolver) => notLearnedFrom(resolver, learning)) : []),
  ];
}

function nothingEnforced(): string {
  return `warning: nothing is enforced: "*" stands for physical, bond, VLAN and tunnel devices, and there is none (bridges and veth are controlled by name only)`;
}

function narrowShares(shares: Shares): string[] {
  const least = Math.min(...[...shares.values()].slice(0, 1).map(({ ringLength }) => ringLength));
  if (least >= PROMISED_ADDRESSES) return [];
  return [
    `warning: of ${shares.size} name rules each can hold ${least} addresses at a time; up to ${LIMITS.MAX_LEASE_RECORDS / PROMISED_ADDRESSES / 2} exact names and as many others can hold ${PROMISED_ADDRESSES}`,
  ];
}

/* sshd sets SSH_CONNECTION to "CLIENT PORT SERVER PORT". This session goes on; the next one would not. */
function sshRefused(inbound: Policy['inbound']): string[] {
  const port = Number(process.env.SSH_CONNECTION?.split(' ')[3]);
  if (inbound === 'all' || !port || (inbound.length > 0 && matchesPort(inbound, TCP, port))) return [];
  return [
    `warning: -inbound leaves out port ${port}, by which you came: the next SSH session will be refused`,
  ];
}

function notLearnedFrom(resolver: Resolver, learning: ReadonlySet<string>): string[] {
  if (isLoopback(resolver) || resolver.scope !== undefined) return [];
  const way = interfaceTo(resolver);
  if (way === undefined || learning.has(way)) return [];
  return [
    `warning: resolver ${formatResolver(resolver)} is reached by ${way}, which is not in -iface: its answers teach nothing`,
  ];
}

/* A connected UDP socket sends nothing, and has the address of the interface it would send by. */
function interfaceTo(resolver: Resolver): string | undefined {
  try {
    using socket = connectUdp(resolver, () => {});
    const own = formatAddress(socket.local.addr16);
    return Object.entries(networkInterfaces()).find(([, addresses]) =>
      addresses?.some(({ address }) => address === own),
    )?.[0];
  } catch (thrown) {
    if (thrown instanceof SystemError) return undefined; // no route: nothing would teach, and nothing is asked
    throw thrown;
  }
}
