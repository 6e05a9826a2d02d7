import { statfsSync } from 'node:fs';
import { UnsupportedError } from '../errors.ts';
import { errnoName } from './errno.ts';
import { lastErrno, libc } from './symbols.ts';

/* linux/magic.h */
const BPF_FS_MAGIC = 0xcafe4a11;

/** Whether `path` lies on a bpffs; false when it is not there. */
export function isBpffs(path: string): boolean {
  try {
    return statfsSync(path).type === BPF_FS_MAGIC;
  } catch {
    // Whatever the reason, nothing can be pinned there; mounting tells why.
    return false;
  }
}

/** Mounts a bpffs on `path` unless it is one; answers whether it did. Throws UnsupportedError. */
export function mountBpffs(path: string): boolean {
  if (isBpffs(path)) return false;
  if (libc.mount('bpf', path, 'bpf', 0, null) < 0) {
    throw new UnsupportedError(`Cannot mount a bpffs on "${path}": ${errnoName(lastErrno())}`);
  }
  return true;
}
