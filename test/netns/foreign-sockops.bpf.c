// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Somebody else's program on sockets of a cgroup: counts what it is told of, and asks to be told when a round trip was
 * measured.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32);
	__type(key, __u32);
	__type(value, __u64);
} told SEC(".maps");

SEC("sockops")
int foreign(struct bpf_sock_ops *ctx)
{
	__u32 op = ctx->op;
	__u64 *count = bpf_map_lookup_elem(&told, &op);

	if (count)
		__sync_fetch_and_add(count, 1);
	if (op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags |
						       BPF_SOCK_OPS_RTT_CB_FLAG);
	return 1;
}
