/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Paths of what the current process executes and of its cgroup, read from the kernel's own structs: from the last
 * component up to the root, written from the end of a buffer to its beginning. Where the fields lie, user space has
 * looked up in the kernel's BTF. A pointer that is stale by the time it is read gives another text, or none.
 */
#ifndef L7EGG_KERNEL_PATH_H
#define L7EGG_KERNEL_PATH_H

#include "scratch.h"

#define MAX_COMPONENTS 64
#define NAME_MASK 0xff /* NAME_MAX */
#define PATH_BEGIN PATH_BYTES
#define PATH_END (2 * PATH_BYTES)

/* The verifier drops what needs them where they are not known. */
const volatile struct kernel_types kernel_types;

/* In the scratch area, in place of a message. A component that does not fit begins in what lies in front of the path,
 * whose length and flag are written over it in the end.
 */
struct path_walk {
	__u8 front[PATH_BEGIN - 2 * sizeof(__u32)];
	struct kernel_path path;
	__u8 slack[PATH_BYTES]; /* a read at any masked index ends in here */
	__u8 name[PATH_BYTES];
	__u64 node; /* a dentry, or a node of the tree of cgroups */
	__u64 vfsmount;
	__u32 begin; /* of what is written so far */
	__u32 is_whole;
};

_Static_assert(sizeof(struct path_walk) <= MAX_DNS_MESSAGE, "a walk fits into the scratch area");
_Static_assert(__builtin_offsetof(struct path_walk, path.bytes) == PATH_BEGIN, "the path lies in its struct");

struct path_steps {
	struct path_walk *walk;
};

static __always_inline __u64 read_pointer(__u64 at, __u32 offset)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), (void *)(at + offset));
	return value;
}

/* Puts a component of n bytes and a slash in front. 0 = it did not fit. */
static __always_inline int put_component(struct path_walk *walk, __u64 name, __u32 n)
{
	__u8 *bytes = (__u8 *)walk;
	__u32 at;

	opaque(n);
	n &= NAME_MASK;
	at = walk->begin - n;
	opaque(at);
	at &= PATH_END - 1;
	bpf_probe_read_kernel(bytes + at, n, (void *)name);
	if (at <= PATH_BEGIN) {
		walk->begin = PATH_BEGIN;
		return 0;
	}
	at -= 1;
	opaque(at);
	at &= PATH_END - 1;
	bytes[at] = '/';
	walk->begin = at;
	return 1;
}

static long program_step(__u32 round, struct path_steps *steps)
{
	struct path_walk *walk = steps->walk;
	__u64 parent, mount, above, dentry = walk->node;
	__u32 n = 0;

	if (dentry == read_pointer(walk->vfsmount, kernel_types.vfsmount_root)) {
		mount = walk->vfsmount - kernel_types.mount_vfsmount;
		above = read_pointer(mount, kernel_types.mount_parent);
		if (!above || above == mount) {
			walk->is_whole = 1;
			return 1;
		}
		walk->node = read_pointer(mount, kernel_types.mount_point);
		walk->vfsmount = above + kernel_types.mount_vfsmount;
		return 0;
	}
	bpf_probe_read_kernel(&n, sizeof(n), (void *)(dentry + kernel_types.dentry_name_length));
	if (!put_component(walk, read_pointer(dentry, kernel_types.dentry_name), n))
		return 1;
	parent = read_pointer(dentry, kernel_types.dentry_parent);
	if (parent == dentry) { /* in no tree, as a memfd is */
		walk->is_whole = 1;
		return 1;
	}
	walk->node = parent;
	return 0;
}

static long cgroup_step(__u32 round, struct path_steps *steps)
{
	struct path_walk *walk = steps->walk;
	__u64 parent = read_pointer(walk->node, kernel_types.node_parent);
	long n;

	if (!parent) {
		walk->is_whole = 1;
		return 1;
	}
	n = bpf_probe_read_kernel_str(walk->name, sizeof(walk->name),
				      (void *)read_pointer(walk->node, kernel_types.node_name));
	if (n <= 1 || !put_component(walk, (__u64)walk->name, n - 1))
		return 1;
	walk->node = parent;
	return 0;
}

static __always_inline void begin_walk(struct path_walk *walk)
{
	walk->begin = PATH_END;
	walk->is_whole = 0;
}

static __always_inline void end_walk(struct path_walk *walk)
{
	if (walk->begin == PATH_END && walk->is_whole) {
		walk->path.bytes[PATH_BYTES - 1] = '/';
		walk->begin = PATH_END - 1;
	}
	walk->path.length = PATH_END - walk->begin;
	walk->path.is_cut = !walk->is_whole;
}

/* Keeps the path of the program that the current process executes. */
__noinline int keep_program(__u32 area, __u64 started_ns, __u32 pid, __u32 exec_id)
{
	struct program_key key = { .started_ns = started_ns, .pid = pid, .exec_id = exec_id };
	struct scratch *s = get_scratch(area);
	struct path_steps steps;
	__u64 mm, file;

	if (!s || !kernel_types.is_known)
		return 0;
	mm = read_pointer((__u64)bpf_get_current_task(), kernel_types.task_mm);
	file = mm ? read_pointer(mm, kernel_types.mm_exe_file) : 0;
	if (!file) /* a thread of the kernel */
		return 0;
	steps.walk = (struct path_walk *)s->message;
	begin_walk(steps.walk);
	steps.walk->node = read_pointer(file, kernel_types.file_dentry);
	steps.walk->vfsmount = read_pointer(file, kernel_types.file_mount);
	bpf_loop(MAX_COMPONENTS, program_step, &steps, 0);
	end_walk(steps.walk);
	return !bpf_map_update_elem(&programs, &key, &steps.walk->path, BPF_ANY);
}

/* Keeps the path of the cgroup that the current process is in. */
__noinline int keep_cgroup(__u32 area, __u64 id)
{
	struct scratch *s = get_scratch(area);
	struct path_steps steps;
	__u64 set, cgroup;

	if (!s || !kernel_types.is_known)
		return 0;
	set = read_pointer((__u64)bpf_get_current_task(), kernel_types.task_cgroups);
	cgroup = read_pointer(set, kernel_types.css_set_cgroup);
	steps.walk = (struct path_walk *)s->message;
	begin_walk(steps.walk);
	steps.walk->node = read_pointer(cgroup, kernel_types.cgroup_node);
	bpf_loop(MAX_COMPONENTS, cgroup_step, &steps, 0);
	end_walk(steps.walk);
	return !bpf_map_update_elem(&cgroup_paths, &id, &steps.walk->path, BPF_ANY);
}

/* What events of the process will refer to. Where no scratch area is free, its next call does it. */
static __always_inline int note_paths(struct proc *proc)
{
	struct program_key key = { .started_ns = proc->started_ns,
				   .pid = proc->pid,
				   .exec_id = proc->exec_id };
	__u64 cgroup_id = proc->cgroup_id;
	int has_program, has_cgroup;
	struct scratch *s;

	if (!kernel_types.is_known)
		return 1;
	has_program = bpf_map_lookup_elem(&programs, &key) != NULL;
	has_cgroup = bpf_map_lookup_elem(&cgroup_paths, &cgroup_id) != NULL;
	if (has_program && has_cgroup)
		return 1;
	s = take_scratch();
	if (!s)
		return 0;
	if (!has_program)
		keep_program(s->area, key.started_ns, key.pid, key.exec_id);
	if (!has_cgroup)
		keep_cgroup(s->area, cgroup_id);
	give_scratch_back(s);
	return 1;
}

#endif
