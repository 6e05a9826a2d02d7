/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Ends of flows that were allowed, and what they carried. */
#ifndef L7EGG_ENDS_H
#define L7EGG_ENDS_H

#include "event.h"

#define SOCK_DONE_FLAG (1 << 1) /* enum sock_flags: the other end has sent its FIN */

static __always_inline struct end_event *begin_end(struct flow_key *key, __u32 rule, __u32 ifindex,
						   __u64 cookie)
{
	struct end_event *event = NULL;
	struct event *head;

	if (has_room_for_passed())
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(COUNT_RING_FULL);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	head = &event->head;
	head->boot_ns = bpf_ktime_get_boot_ns();
	head->count = 1;
	head->ifindex = ifindex;
	head->rule = rule;
	head->kind = EVENT_FLOW;
	head->verdict = VERDICT_ALLOW;
	head->reason = REASON_ENDED;
	head->policy = key->policy;
	head->l4_proto = key->l4_proto;
	head->local_port_be = key->local_port_be;
	head->remote_port_be = key->remote_port_be;
	if (key->l4_proto == IPPROTO_ICMP || key->l4_proto == IPPROTO_ICMPV6) {
		head->detail = bpf_ntohs(key->remote_port_be);
		head->remote_port_be = 0;
	}
	head->ether_type = is_ipv4(&key->remote) ? ETH_P_IP : ETH_P_IPV6;
	copy_addr(&head->local, &key->local);
	copy_addr(&head->remote, &key->remote);
	add_process(head, find_process(cookie));
	return event;
}

/* Tells that the flow of the scratch packet is over, unless its socket will. */
__noinline int tell_flow_end(__u32 area)
{
	struct scratch *s = get_scratch(area);
	struct end_event *event;
	struct flow *flow;

	if (!s)
		return 0;
	flow = bpf_map_lookup_elem(&flows, &s->key);
	if (!flow || flow->flags & (FLOW_OF_SOCKET | FLOW_TOLD))
		return 0;
	flow->flags |= FLOW_TOLD;
	event = begin_end(&s->key, flow->rule, flow->ifindex, flow->socket_cookie);
	if (!event)
		return 0;
	event->bytes = flow->bytes;
	event->packets = flow->packets;
	bpf_ringbuf_submit(event, 0);
	return 1;
}

static __always_inline int has_sent_fin(__u32 state)
{
	return state == BPF_TCP_FIN_WAIT2 || state == BPF_TCP_CLOSING || state == BPF_TCP_LAST_ACK;
}

/* A FIN takes a number of the sequence, as a byte does. In FIN_WAIT2 only the socket tells whether it came: where it can't
 * be read, such a one passes for a byte.
 */
static __always_inline int has_taken_fin(struct bpf_sock_ops *ctx, struct bpf_sock *sk, __u32 state)
{
	struct tcp_sock *tcp;

	if (kernel_types.is_known) {
		tcp = bpf_skc_to_tcp_sock(sk);
		if (tcp)
			return (*(__u64 *)((void *)tcp + kernel_types.sock_flags) & SOCK_DONE_FLAG) != 0;
	}
	return state == BPF_TCP_CLOSE_WAIT || state == BPF_TCP_CLOSING || state == BPF_TCP_LAST_ACK;
}

/* A socket with an outbound flow that was allowed is closed. Once, whatever number of hooks tells us. */
static __always_inline void tell_socket_end(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	__u32 state = ctx->args[0];
	struct socket_flow *kept;
	struct end_event *event;
	__u64 bytes, bytes_in;

	kept = sk ? bpf_sk_storage_get(&socket_flows, sk, NULL, 0) : NULL;
	if (!kept || kept->inbound)
		return;
	event = begin_end(&kept->key, kept->rule, kept->ifindex, bpf_get_socket_cookie(ctx));
	if (event) {
		bytes = ctx->bytes_acked;
		if (bytes) /* the SYN */
			bytes -= 1;
		if (bytes && has_sent_fin(state) && ctx->snd_una == ctx->snd_nxt)
			bytes -= 1;
		bytes_in = ctx->bytes_received;
		if (bytes_in && has_taken_fin(ctx, sk, state))
			bytes_in -= 1;
		event->bytes = bytes;
		event->packets = ctx->segs_out;
		event->bytes_in = bytes_in;
		event->packets_in = ctx->segs_in;
		event->has_in = 1;
		bpf_ringbuf_submit(event, 0);
	}
	bpf_sk_storage_delete(&socket_flows, sk);
}

/* Sockets that connect tell when they are closed. Of the whole host those in our own network namespace only. */
static __always_inline int follow_socket(struct bpf_sock_ops *ctx, int is_host)
{
	struct control *c;

	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
		c = get_control();
		if (!c || (is_host && bpf_get_netns_cookie(ctx) != c->netns_cookie))
			return 1;
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags |
						       BPF_SOCK_OPS_STATE_CB_FLAG);
	} else if (ctx->op == BPF_SOCK_OPS_STATE_CB && ctx->args[1] == BPF_TCP_CLOSE) {
		tell_socket_end(ctx);
	}
	return 1;
}

#endif
