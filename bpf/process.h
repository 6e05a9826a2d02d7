/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Who called: kept by socket, read when the packet of that socket becomes an event. What it executes and the cgroup it
 * is in are paths of their own, made when they are first met: an event carries their keys only.
 */
#ifndef L7EGG_PROCESS_H
#define L7EGG_PROCESS_H

#include "kernel-path.h"

#define ALLOW_CALL 1

static __always_inline int same_proc(const struct proc *a, const struct proc *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;
	__u64 differences = 0;

#pragma unroll
	for (int i = 0; i < sizeof(*a) / sizeof(__u64); i++)
		differences |= x[i] ^ y[i];
	return !differences;
}

/* The fields are read in place: a look-up in a map costs as much as ten of them. */
static __always_inline void note_task(struct proc *proc)
{
	void *task, *leader;

	if (!kernel_types.is_known)
		return;
	task = bpf_get_current_task_btf();
	leader = *(void **)(task + kernel_types.task_leader);
	proc->started_ns = *(__u64 *)(leader + kernel_types.task_started);
	proc->exec_id = *(__u32 *)(task + kernel_types.task_exec_id);
}

/* Every packet of an unconnected UDP socket is a call: what is known already is not written again. */
static __always_inline int note_process(struct bpf_sock_addr *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct proc *found, proc = { .pid = bpf_get_current_pid_tgid() >> 32,
				     .uid = bpf_get_current_uid_gid(),
				     .cgroup_id = bpf_get_current_cgroup_id() };

	bpf_get_current_comm(proc.comm, sizeof(proc.comm));
	note_task(&proc);
	found = bpf_map_lookup_elem(&procs, &cookie);
	if (found && same_proc(found, &proc))
		return ALLOW_CALL;
	if (note_paths(&proc))
		bpf_map_update_elem(&procs, &cookie, &proc, BPF_ANY);
	return ALLOW_CALL;
}

#endif
