import { networkInterfaces } from 'node:os';
import { isLoopback, type Resolver } from '../dns/resolver.ts';
import { formatAddress } from '../flow/address.ts';
import { matchesPort } from '../policy/port.ts';
import type { Present } from './interfaces.ts';
import type { EnforceOptions } from './options.ts';
import { formatResolver } from './resolvers.ts';

const TCP = 6;

/** What is in force, as far as it can be a pitfall. */
interface Served {
  readonly options: Pick<EnforceOptions, 'inbound'>;
  readonly present: readonly Present[];
  readonly resolvers: readonly Resolver[];
  readonly isEveryWay: boolean;
}

/** What is legal but seldom meant, a sentence each. Asks the routing table, not the network. */
export async function findPitfalls({ options, present, resolvers, isEveryWay }: Served): Promise<string[]> {
  const learning = new Set(present.filter(({ learns }) => learns).map(({ name }) => name));
  const ways = present.filter(({ enforces }) => enforces);
  return [
    ...(isEveryWay && ways.length === 0 ? [nothingEnforced()] : []),
    ...sshRefused(options.inbound),
    ...(await Promise.all(resolvers.map((resolver) => notLearnedFrom(resolver, learning)))).flat(),
  ];
}

function nothingEnforced(): string {
  return `warning: nothing is enforced: "*" stands for physical, bond, VLAN and tunnel devices, and there is none (bridges and veth are controlled by name only)`;
}

/* sshd sets SSH_CONNECTION to "CLIENT PORT SERVER PORT". This session goes on; the next one would not. */
function sshRefused(inbound: EnforceOptions['inbound']): string[] {
  const port = Number(process.env.SSH_CONNECTION?.split(' ')[3]);
  if (!inbound || !port || matchesPort(inbound, TCP, port)) return [];
  return [
    `warning: -inbound leaves out port ${port}, by which you came: the next SSH session will be refused`,
  ];
}

async function notLearnedFrom(resolver: Resolver, learning: ReadonlySet<string>): Promise<string[]> {
  if (isLoopback(resolver) || resolver.scope !== undefined) return [];
  const way = await interfaceTo(resolver);
  if (way === undefined || learning.has(way)) return [];
  return [
    `warning: resolver ${formatResolver(resolver)} is reached by ${way}, which is not in -iface: its answers teach nothing`,
  ];
}

/* A connected UDP socket sends nothing, and has the address of the interface it would send by. */
async function interfaceTo(resolver: Resolver): Promise<string | undefined> {
  const { createSocket } = await import('node:dgram');
  const host = formatAddress(resolver.addr16);
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    const own = await new Promise<string | undefined>((resolve) => {
      socket.on('error', () => resolve(undefined)); // no route: nothing would teach, and nothing is asked
      socket.on('connect', () => resolve(socket.address().address));
      socket.connect(resolver.port, host);
    });
    return Object.entries(networkInterfaces()).find(([, addresses]) =>
      addresses?.some(({ address }) => address === own),
    )?.[0];
  } finally {
    socket.close();
  }
}
