import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../errors.ts';
import { needCgroup2 } from './cgroup2.ts';

/** systemd nests a slice per dash in its name, and a name has 255 characters; real trees have three or four. */
const MAX_DEPTH = 16;

/**
 * The directory of a systemd unit's cgroup, such as unbound.service, in the cgroup2 tree.
 * It is there while the unit runs, and a new one after each start. Units of the system manager only: a user can
 * give a unit of his own any name. Throws UsageError when there is none, which says where there is one instead.
 */
export function cgroupOfUnit(unit: string): string {
  const mount = needCgroup2();
  const [found] = findUnit(mount, unit, isSlice);
  if (found !== undefined) return found;
  throw new UsageError(`unit "${unit}" ${whyNot(mount, unit)}`);
}

/**
 * Directories of cgroups that are this unit's, below `root`. Only through cgroups that `isManaged`: what a service
 * or a container makes below its own is not systemd's, whatever its name.
 */
export function findUnit(root: string, unit: string, isManaged: (name: string) => boolean): string[] {
  const search = (directory: string, depth: number): string[] =>
    directories(directory).flatMap((name) => {
      const path = join(directory, name);
      // systemd puts "_" before a name that the kernel could take for a file of its own (cg_escape).
      if (name === unit || name === `_${unit}`) return [path];
      return depth < MAX_DEPTH && isManaged(name) ? search(path, depth + 1) : [];
    });
  return search(root, 0);
}

function isSlice(name: string): boolean {
  return name.endsWith('.slice');
}

function isSliceOrUserManager(name: string): boolean {
  return isSlice(name) || /^user@\d+\.service$/u.test(name);
}

function whyNot(mount: string, unit: string): string {
  const ofUsers = findUnit(mount, unit, isSliceOrUserManager);
  if (ofUsers.length > 0) {
    return `is a unit of a user's manager, which can call any of its units so: give its path, ${ofUsers
      .map((path) => `"${path.slice(mount.length)}"`)
      .join(' or ')}`;
  }
  const [inV1] = v1SystemdMounts().flatMap((root) => findUnit(root, unit, isSliceOrUserManager));
  if (inV1 !== undefined) {
    return `runs in the v1 hierarchy only ("${inV1}"), where no BPF program can be attached to it: boot with systemd.unified_cgroup_hierarchy=1, or give the path of a cgroup in "${mount}" that you put its processes into`;
  }
  return `has no cgroup below "${mount}": the name of a unit that runs is legal ("systemctl list-units" shows them)`;
}

/* Where systemd keeps its units when it does not use cgroup2. */
function v1SystemdMounts(): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .flatMap(([, path, fsType, options]) =>
      path !== undefined && fsType === 'cgroup' && options?.split(',').includes('name=systemd') ? [path] : [],
    )
    .filter((path) => existsSync(path));
}

function directories(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch {
    return []; // removed while we looked
  }
}
