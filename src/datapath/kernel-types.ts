import { readFileSync } from 'node:fs';
import { readKernelOffsets } from '../libbpf/kernel-btf.ts';
import type { LAYOUT } from './layout.ts';
import { encodeStruct } from './struct.ts';

type Field = Exclude<keyof (typeof LAYOUT)['kernel_types']['fields'], 'is_known'>;

/* What each offset is the sum of; `|` parts the names that kernels have given a member. */
const PATHS: { readonly [field in Field]: readonly string[] } = {
  task_leader: ['task_struct.group_leader'],
  task_started: ['task_struct.start_boottime'],
  task_exec_id: ['task_struct.self_exec_id'],
  task_mm: ['task_struct.mm'],
  task_cgroups: ['task_struct.cgroups'],
  mm_exe_file: ['mm_struct.exe_file'],
  file_mount: ['file.f_path', 'path.mnt'],
  file_dentry: ['file.f_path', 'path.dentry'],
  dentry_parent: ['dentry.d_parent'],
  dentry_name: ['dentry.d_name', 'qstr.name'],
  dentry_name_length: ['dentry.d_name', 'qstr.len'],
  vfsmount_root: ['vfsmount.mnt_root'],
  mount_vfsmount: ['mount.mnt'],
  mount_parent: ['mount.mnt_parent'],
  mount_point: ['mount.mnt_mountpoint'],
  css_set_cgroup: ['css_set.dfl_cgrp'],
  cgroup_node: ['cgroup.kn'],
  node_name: ['kernfs_node.name'],
  node_parent: ['kernfs_node.__parent|kernfs_node.parent'], // renamed in Linux 6.15
  sock_flags: ['sock_common.skc_flags'], // the first member of a struct sock
};

const LOCKDOWN = '/sys/kernel/security/lockdown';

let known: Promise<Buffer<ArrayBuffer>> | undefined;

/**
 * `struct kernel_types` of the running kernel, by which programs find the paths of executables and cgroups. All zero
 * where the kernel tells no types, has others than we know, or is locked down so that programs may not read it. Found
 * once, in a thread, beginning with the first call.
 */
export function kernelTypes(): Promise<Buffer<ArrayBuffer>> {
  known ??= findTypes();
  return known;
}

async function findTypes(): Promise<Buffer<ArrayBuffer>> {
  const offsets = isLockedDown() ? undefined : await readKernelOffsets(wanted());
  return (offsets && encodeTypes(offsets)) ?? encodeStruct('kernel_types', {});
}

function wanted(): Map<string, string[]> {
  const structs = new Map<string, string[]>();
  for (const name of Object.values(PATHS).flatMap((parts) => parts.flatMap((part) => part.split('|')))) {
    const [struct = '', member = ''] = name.split('.');
    structs.set(struct, [...(structs.get(struct) ?? []), member]);
  }
  return structs;
}

function encodeTypes(offsets: ReadonlyMap<string, number>): Buffer<ArrayBuffer> | undefined {
  const values: { [field: string]: number } = { is_known: 1 };
  for (const [field, parts] of Object.entries(PATHS)) {
    const found = parts.flatMap(
      (part) => part.split('|').flatMap((name) => offsets.get(name) ?? [])[0] ?? [],
    );
    if (found.length !== parts.length) return undefined;
    values[field] = found.reduce((sum, offset) => sum + offset);
  }
  return encodeStruct('kernel_types', values);
}

/* Lockdown(7), confidentiality: a program that would read the kernel's memory is not loaded. */
function isLockedDown(): boolean {
  try {
    return readFileSync(LOCKDOWN, 'utf8').includes('[confidentiality]');
  } catch {
    return false; // a kernel without it
  }
}
