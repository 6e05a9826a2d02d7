/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Who called: kept by socket, read when the packet of that socket becomes an event. */
#ifndef L7EGG_PROCESS_H
#define L7EGG_PROCESS_H

#include "maps.h"

#define ALLOW_CALL 1

static __always_inline int note_process(struct bpf_sock_addr *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct proc proc = { .pid = bpf_get_current_pid_tgid() >> 32,
			     .uid = bpf_get_current_uid_gid() };

	bpf_get_current_comm(proc.comm, sizeof(proc.comm));
	bpf_map_update_elem(&procs, &cookie, &proc, BPF_ANY);
	return ALLOW_CALL;
}

#endif
