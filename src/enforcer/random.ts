import { closeSync, openSync, readSync } from 'node:fs';

/** 64 random bits of the kernel's generator. Loading the crypto library for eight bytes would cost 2 MB. */
export function randomBits(): bigint {
  const bytes = Buffer.alloc(8);
  const fd = openSync('/dev/urandom', 'r');
  try {
    readSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
  return bytes.readBigUInt64LE();
}
