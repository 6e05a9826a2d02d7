import { release } from 'node:os';

/** Whether `kernel`, the running one's release by default, is Linux `major`.`minor` or newer. */
export function isKernelSince(major: number, minor: number, kernel = release()): boolean {
  const [hasMajor = 0, hasMinor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  return hasMajor > major || (hasMajor === major && hasMinor >= minor);
}

/** What a kernel that is too old for l7egg is told; undefined for others. */
export function tooOldKernel(kernel = release()): string | undefined {
  return isKernelSince(6, 1, kernel) ? undefined : `Linux 6.1 or newer is needed, this is ${kernel}`;
}
