import { Scope } from '../scope.ts';
import { createInner, createOuter } from './policy-maps.ts';

/**
 * Waits until every program run that was going on when it was called has ended: the kernel answers an update of an
 * outer map only after such a grace period (kernel/bpf/syscall.c, maybe_wait_bpf_programs). Throws SystemError.
 */
export async function waitForPrograms(): Promise<void> {
  using scope = new Scope();
  const outer = scope.use(createOuter('patterns'));
  const inner = Buffer.alloc(4);
  inner.writeUInt32LE(scope.use(createInner('patterns', 1)).fd);
  await outer.setInThread(Buffer.alloc(4), inner);
}
