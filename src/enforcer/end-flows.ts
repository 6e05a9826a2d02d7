import type { DatapathState } from '../datapath/state.ts';
import { readBytes, readField } from '../datapath/struct.ts';
import { destroyTcpSocket } from '../netlink/sock-diag.ts';

const TCP = 6;

/**
 * Ends local TCP connections that were allowed by rules which are gone: their programs learn at once, not with their
 * next packet, which would be refused. Other flows end with that packet. Answers how many were ended. Throws
 * SystemError.
 */
export function endFlows(state: DatapathState, withdrawn: readonly number[]): number {
  if (withdrawn.length === 0) return 0;
  const gone = new Set(withdrawn);
  let ended = 0;
  for (const [key, value] of state.map('flows').entries()) {
    if (!gone.has(readField(value, 'flow', 'rule')) || readField(key, 'flow_key', 'l4_proto') !== TCP)
      continue;
    const isEnded = destroyTcpSocket({
      local: readBytes(key, 'flow_key', 'local'),
      localPort: readField(key, 'flow_key', 'local_port_be'),
      remote: readBytes(key, 'flow_key', 'remote'),
      remotePort: readField(key, 'flow_key', 'remote_port_be'),
    });
    if (isEnded) ended += 1;
  }
  return ended;
}
