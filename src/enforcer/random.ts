import { closeSync, openSync, readSync } from 'node:fs';

const BYTES = 8;
/** Read at a time, and each used once: names are asked for by the dozen. */
const POOL = new BigUint64Array(64);
let used = POOL.length;

/** 64 random bits of the kernel's generator. Loading the crypto library for eight bytes would cost 2 MB. */
export function randomBits(): bigint {
  if (used === POOL.length) refill();
  const bits = POOL[used] ?? 0n;
  POOL[used] = 0n;
  used += 1;
  return bits;
}

/* Throws where the kernel gives fewer: none of what is there may serve twice. */
function refill(): void {
  const fd = openSync('/dev/urandom', 'r');
  try {
    const count = readSync(fd, POOL);
    if (count !== POOL.length * BYTES) throw new Error(`Cannot read /dev/urandom: ${count} bytes came`);
  } finally {
    closeSync(fd);
  }
  used = 0;
}
