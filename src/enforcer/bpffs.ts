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
  if (arePinsHidden()) {
    throw new UnsupportedError(
      `Cannot use "${BPFFS}": no bpffs is there, and in this private mount namespace ("ip netns exec" makes one) it would end with the process: use -netns=NAME or "nsenter --net=/run/netns/NAME" instead, or mount it on the host first`,
    );
  }
  mountBpffs(BPFFS);
}

/** For who looks for pins, or takes them away: what is hidden from us may be in force. Throws UnsupportedError. */
export function requirePins(): void {
  if (!arePinsHidden()) return;
  throw new UnsupportedError(
    `Cannot see what is in force: this private mount namespace ("ip netns exec" makes one) has no bpffs on "${BPFFS}": use "nsenter --net=/run/netns/NAME" instead`,
  );
}

/** For who looks for the pins of a process that runs: it may hold them where nobody sees them. Throws UnsupportedError. */
export function requireBpffs(): void {
  if (isBpffs(BPFFS)) return;
  throw new UnsupportedError(
    `Cannot see what is in force: no bpffs is mounted on "${BPFFS}" any more; with "mount -t bpf bpf ${BPFFS}" the process that runs shows it again`,
  );
}

/** Whether the host may have a bpffs that is not to be seen from here. */
export function arePinsHidden(): boolean {
  return !isBpffs(BPFFS) && isMountViewPrivate();
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
