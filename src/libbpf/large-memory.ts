import { libc } from './symbols.ts';

/* malloc.h */
const M_MMAP_THRESHOLD = -3;
const LARGE_BYTES = 128 * 1024;

/**
 * Has the C library give large pieces of memory back to the system as soon as they are freed: those of a load would stay
 * with the process else, as glibc takes the largest piece that was ever freed for a usual one.
 */
export function giveBackLarge(): void {
  libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
}

/** Gives back what the C library keeps free: after a start, which takes far more than what comes behind it. */
export function giveBackFree(): void {
  libc.mallocTrim(0);
}
