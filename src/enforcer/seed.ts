import { HOST_POLICY, type NumberedPolicy } from '../datapath/compile.ts';
import { enterInbound, type InboundSession } from '../datapath/host-facts.ts';
import type { DatapathState } from '../datapath/state.ts';
import { listConntrack } from '../netlink/conntrack.ts';
import { type DiagSocket, listTcpSockets, TcpState } from '../netlink/sock-diag.ts';
import { matchesPort } from '../policy/port.ts';

const TCP = 6;

/**
 * Enters the sessions that somebody outside began before we did, so that their replies go on passing:
 * local sockets whose port somebody listens on, and connections through this host that the kernel tracks
 * as begun on the other side. Answers how many. Throws SystemError.
 */
export function seedInbound(state: DatapathState, nowNs: bigint): number {
  const sockets = listTcpSockets();
  const sessions = [...findInbound(sockets), ...findCalled(sockets), ...findOwnSsh(sockets)];
  for (const session of sessions) enterInbound(state, session, nowNs);
  return sessions.length;
}

/**
 * The same for subjects that take calls, by the ports on which they do: what is entered for one serves its own sockets
 * only. Throws SystemError.
 */
export function seedSubjects(state: DatapathState, policies: readonly NumberedPolicy[], nowNs: bigint): void {
  const taking = policies.filter(
    ({ policyId, policy }) => policyId !== HOST_POLICY && policy.inbound.length > 0,
  );
  if (taking.length === 0) return;
  for (const session of findInbound(listTcpSockets())) {
    for (const { policyId, policy } of taking) {
      if (policy.inbound === 'all' || matchesPort(policy.inbound, TCP, session.localPort))
        enterInbound(state, session, nowNs, policyId);
    }
  }
}

/*
 * Connections that the kernel tracks as begun outside: to a socket of this host, also when nobody listens any
 * more, or forwarded by destination NAT: the reply leaves as if from the address first called.
 */
function findCalled(sockets: readonly DiagSocket[]): InboundSession[] {
  const own = new Set(sockets.map(({ local, localPort }) => endOf(local, localPort)));
  return listConntrack()
    .filter(({ original, reply }) => {
      const isForwarded = Buffer.compare(original.destination, reply.source) !== 0;
      const isOwnCall = own.has(endOf(original.source, original.sourcePort));
      return !isOwnCall && (isForwarded || own.has(endOf(original.destination, original.destinationPort)));
    })
    .map(({ l4Proto, original }) => ({
      local: original.destination,
      localPort: original.destinationPort,
      remote: original.source,
      remotePort: original.sourcePort,
      l4Proto,
    }));
}

/* sshd says whom it serves: SSH_CONNECTION is "CLIENT PORT SERVER PORT". */
function findOwnSsh(sockets: readonly DiagSocket[]): InboundSession[] {
  const [, clientPort, , serverPort] = (process.env.SSH_CONNECTION ?? '').split(' ').map(Number);
  return sockets
    .filter(({ localPort, remotePort }) => localPort === serverPort && remotePort === clientPort)
    .map(sessionOf);
}

function endOf(addr16: Uint8Array, port: number): string {
  return `${Buffer.from(addr16).toString('hex')}:${port}`;
}

function sessionOf({ local, localPort, remote, remotePort }: DiagSocket): InboundSession {
  return { local, localPort, remote, remotePort, l4Proto: TCP };
}

/** The connections among these sockets that came in: their local port is listened on. */
export function findInbound(sockets: readonly DiagSocket[]): InboundSession[] {
  const listening = new Set(
    sockets.filter((socket) => socket.state === TcpState.listen).map((socket) => socket.localPort),
  );
  return sockets
    .filter((socket) => socket.state !== TcpState.listen && socket.state !== TcpState.synSent)
    .filter((socket) => socket.remotePort !== 0 && listening.has(socket.localPort))
    .map(sessionOf);
}
