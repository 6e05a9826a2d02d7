import { readdirSync, readFileSync } from 'node:fs';
import { visitSockets } from '../libbpf/other-sockets.ts';
import { LAYOUT, LIMITS } from './layout.ts';
import type { MapSource } from './state.ts';
import { placeOf, writeStruct } from './struct.ts';
import type { SubjectCgroup } from './subject-cgroup.ts';

/**
 * Notes whose the sockets are that the processes of a subject have already. Those made from now on are noted when they
 * are made. A socket that we may not look at stays unknown: to call it on this host is refused.
 */
export function claimSockets(maps: MapSource, { path, policyId, nesting }: SubjectCgroup): void {
  const owners = maps.map('socket_owners');
  const [at] = placeOf('socket_owner', 'policies');
  for (const pid of processesBelow(path)) {
    visitSockets(pid, ({ fd, netnsCookie }) => {
      const key = u32(fd);
      const owner = owners.get(key) ?? Buffer.alloc(LAYOUT.socket_owner.size);
      writeStruct(owner, 0, 'socket_owner', { netns_cookie: netnsCookie });
      owner.writeUInt32LE(policyId, at + 4 * (nesting % LIMITS.MAX_NESTING));
      owners.set(key, owner);
    });
  }
}

function processesBelow(directory: string): number[] {
  try {
    const own = readFileSync(`${directory}/cgroup.procs`, 'utf8').split('\n').map(Number);
    const below = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [
      ...own.filter((pid) => pid > 0),
      ...below.flatMap(({ name }) => processesBelow(`${directory}/${name}`)),
    ];
  } catch {
    return []; // removed meanwhile, or one of threads
  }
}

function u32(value: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
