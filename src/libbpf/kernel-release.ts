/** The oldest kernel that has what the programs need; others may have had it added by their distribution. */
export const OLDEST_KERNEL = [6, 1] as const;

/** Whether a kernel of this release, such as `6.1.0-18-amd64`, is of that version or newer. */
export function isAtLeast(kernel: string, major: number, minor: number): boolean {
  const [, own = '0', ownMinor = '0'] = /^(\d+)\.(\d+)/u.exec(kernel) ?? [];
  return Number(own) > major || (Number(own) === major && Number(ownMinor) >= minor);
}
