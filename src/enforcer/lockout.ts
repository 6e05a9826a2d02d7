import { readdirSync, readlinkSync } from 'node:fs';
import { RecordType } from '../dns/record-type.ts';
import type { Resolver } from '../dns/resolver.ts';
import { LockoutError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import { type DiagSocket, listTcpSockets, TcpState } from '../netlink/sock-diag.ts';
import { judge } from '../policy/judge.ts';
import type { Policy } from '../policy/policy.ts';
import { matchesPort } from '../policy/port.ts';
import type { Rule } from '../policy/rule.ts';
import { ancestors } from './ancestors.ts';
import { Asker } from './asker.ts';
import { findInbound } from './seed.ts';

/** Exact names that are asked before the start is refused. */
const MAX_ASKED = 20;

const TCP = 6;

/** The rules that hold a lease on an address which an earlier run learned. */
export type LeasedTo = (addr16: Uint8Array) => readonly Rule[];

/**
 * Refuses to start when the session that starts us is an outbound connection which the rules do not
 * allow: its process is an ancestor of ours. Inbound sessions (SSH) are seeded and go on. An exact name
 * is asked, to see whether it is the peer's. Throws LockoutError.
 */
export async function refuseLockout(
  policy: Policy,
  resolvers: readonly Resolver[],
  leasedTo: LeasedTo,
): Promise<void> {
  const inodes = ancestorSockets();
  if (policy.audit || inodes.size === 0) return;
  const sockets = listTcpSockets();
  const inbound = new Set(findInbound(sockets).map((session) => endOf(session.remote, session.remotePort)));
  for (const socket of sockets.filter((each) => isOutbound(each, inodes, inbound))) {
    const leased = leasedTo(socket.remote);
    if (leased.some(({ ports }) => matchesPort(ports, TCP, socket.remotePort))) continue;
    if (await isAllowed(policy, resolvers, socket)) continue;
    const peer = formatAddress(socket.remote);
    throw new LockoutError(
      `Enforcing would cut the session that starts it, a connection to ${peer} port ${socket.remotePort} which no rule allows: add -cidr=${peer}, or -force to start all the same`,
    );
  }
}

async function isAllowed(
  policy: Policy,
  resolvers: readonly Resolver[],
  socket: DiagSocket,
): Promise<boolean> {
  const attempt = { addr: socket.remote, l4Proto: TCP, port: socket.remotePort };
  if (judge(policy, { ...attempt, names: [] }).verdict !== 'deny') return true;
  const [resolver] = resolvers;
  if (!resolver) return false;
  using asker = new Asker();
  const exact = policy.rules.flatMap(({ who, action }) =>
    action !== 'deny' && who.kind === 'exact' ? [who.name] : [],
  );
  const qtype = socket.family === 4 ? RecordType.a : RecordType.aaaa;
  for (const name of exact.slice(0, MAX_ASKED)) {
    const answer = await asker.ask(resolver, name, qtype);
    if (answer?.status !== 'learned') continue;
    const isPeer = answer.addresses.some(({ addr }) => Buffer.compare(addr, socket.remote) === 0);
    if (isPeer && judge(policy, { ...attempt, names: [name] }).verdict !== 'deny') return true;
  }
  return false;
}

function isOutbound(socket: DiagSocket, inodes: ReadonlySet<number>, inbound: ReadonlySet<string>): boolean {
  return (
    socket.state === TcpState.established &&
    inodes.has(socket.inode) &&
    !isLoopback(socket.remote) &&
    !inbound.has(endOf(socket.remote, socket.remotePort))
  );
}

function endOf(addr16: Uint8Array, port: number): string {
  return `${Buffer.from(addr16).toString('hex')}:${port}`;
}

function isLoopback(addr16: Uint8Array): boolean {
  const text = formatAddress(addr16);
  return text.startsWith('127.') || text === '::1';
}

/** Inodes of the sockets that our ancestors hold. */
function ancestorSockets(): Set<number> {
  const inodes = new Set<number>();
  for (const pid of ancestors()) {
    if (pid === 1) continue; // the service manager is nobody's session
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        const inode = /^socket:\[(\d+)\]$/u.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        if (inode) inodes.add(Number(inode));
      }
    } catch {
      // The process or the descriptor went away while we looked: then it is no session of ours.
    }
  }
  return inodes;
}
