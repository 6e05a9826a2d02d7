import { join } from 'node:path';
import type { Namespace } from './namespace.ts';

/**
 * Gives `namespace` a copy of /etc of its own, and answers where it lies: what is written there, its programs see in
 * /etc. The lab's resolv.conf is a mount otherwise, which nobody can rename over or delete.
 */
export function giveOwnEtc(namespace: Namespace): string {
  const own = join(namespace.directory, 'etc');
  namespace.must('sh', ['-c', 'cp -a /etc "$1" && mount --bind "$1" /etc', 'sh', own]);
  return own;
}
