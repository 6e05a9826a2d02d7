import { readlinkSync } from 'node:fs';
import { UnsupportedError } from '../errors.ts';
import { isBpffs, mountBpffs } from '../libbpf/mount.ts';
import { ancestors } from './ancestors.ts';

const BPFFS = '/sys/fs/bpf';

/**
 * Mounts the bpffs where the host has none. In a private mount namespace it refuses to: pins would end with
 * that namespace, and a killed enforcer would be an open one. Throws UnsupportedError.
 */
export function provideBpffs(): void {
  if (isBpffs(BPFFS)) return;
  if (isMountViewPrivate()) {
    throw new UnsupportedError(
      `Cannot use "${BPFFS}": no bpffs is there, and in this private mount namespace ("ip netns exec" makes one) it would end with the process: use -netns=NAME or "nsenter --net=/run/netns/NAME" instead, or mount it on the host first`,
    );
  }
  mountBpffs(BPFFS);
}

/* Somebody on the way from process 1 to us has made a mount namespace of its own. */
function isMountViewPrivate(): boolean {
  const own = readlinkSync('/proc/self/ns/mnt');
  return ancestors().some((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/ns/mnt`) !== own;
    } catch {
      return false; // gone, or guarded from root too: the others tell
    }
  });
}
