import { performance } from 'node:perf_hooks';
import { SystemError } from '../errors.ts';
import { formatAddress } from '../flow/address.ts';
import { Protocol } from '../flow/protocol.ts';
import { listServing } from '../netlink/sock-diag.ts';
import type { IsServed } from '../suggest/seen-targets.ts';

/** The list of sockets is asked for again after so many times what it took: no more than a twentieth goes there. */
const PAUSE_FACTOR = 20;

const ANY = ['0.0.0.0', '::'];

interface Listed {
  readonly sockets: ReadonlySet<string>;
  readonly staleMs: number;
}

/** Answers from the sockets of this thread's network namespace; those that can't be listed count as not there. */
export function servedHere(): IsServed {
  const lists = new Map<number, Listed>();
  return (l4Proto, address, port) => {
    const word = l4Proto === Protocol.tcp ? 'tcp' : l4Proto === Protocol.udp ? 'udp' : undefined;
    if (word === undefined) return false;
    let listed = lists.get(l4Proto);
    if (!listed || performance.now() >= listed.staleMs) {
      listed = listNow(word);
      lists.set(l4Proto, listed);
    }
    const { sockets } = listed;
    return [address, ...ANY].some((local) => sockets.has(`${local} ${port}`));
  };
}

function listNow(l4Proto: 'tcp' | 'udp'): Listed {
  const beganMs = performance.now();
  const sockets = new Set<string>();
  try {
    for (const { local, localPort, remotePort } of listServing(l4Proto))
      if (remotePort === 0) sockets.add(`${formatAddress(local)} ${localPort}`);
  } catch (thrown) {
    if (!(thrown instanceof SystemError)) throw thrown;
  }
  const endedMs = performance.now();
  return { sockets, staleMs: endedMs + PAUSE_FACTOR * (endedMs - beganMs) };
}
