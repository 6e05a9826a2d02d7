import { checkedErrno } from './errno.ts';
import { libc } from './symbols.ts';

const CLOCK_BOOTTIME = 7;
const time = Buffer.alloc(16); // struct timespec

/** Nanoseconds since boot, time asleep included: the clock of bpf_ktime_get_boot_ns. Throws SystemError. */
export function bootTimeNs(): bigint {
  checkedErrno(libc.clockGettime(CLOCK_BOOTTIME, time), 'read the boot-time clock');
  return time.readBigInt64LE(0) * 1_000_000_000n + time.readBigInt64LE(8);
}
