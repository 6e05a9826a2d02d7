import { readFileSync } from 'node:fs';

/** Bytes of kernel memory that a map or program of this process takes; `undefined` where the kernel does not tell. */
export function memoryOf(fd: number): number | undefined {
  const [, bytes] = /^memlock:\s+(\d+)$/mu.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
  return bytes === undefined ? undefined : Number(bytes);
}
