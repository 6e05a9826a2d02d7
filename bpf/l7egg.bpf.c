// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Entry points. User space loads only those that the mode and the interfaces
 * need: `_l3` is for devices without a link-layer header.
 */
#include "cgroup.h"
#include "teach.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int l7egg_egress(struct __sk_buff *skb)
{
	return egress_verdict(skb, HOST_POLICY, 1);
}

SEC("tc")
int l7egg_egress_l3(struct __sk_buff *skb)
{
	return egress_verdict(skb, HOST_POLICY, 0);
}

SEC("tc")
int l7egg_query(struct __sk_buff *skb)
{
	return egress_track(skb, HOST_POLICY, 1);
}

SEC("tc")
int l7egg_query_l3(struct __sk_buff *skb)
{
	return egress_track(skb, HOST_POLICY, 0);
}

SEC("tc")
int l7egg_arrive(struct __sk_buff *skb)
{
	return arrive(skb, HOST_POLICY, 1, 1, 1);
}

SEC("tc")
int l7egg_arrive_l3(struct __sk_buff *skb)
{
	return arrive(skb, HOST_POLICY, 1, 1, 0);
}

SEC("tc")
int l7egg_learn(struct __sk_buff *skb)
{
	return arrive(skb, HOST_POLICY, 1, 0, 1);
}

SEC("tc")
int l7egg_learn_l3(struct __sk_buff *skb)
{
	return arrive(skb, HOST_POLICY, 1, 0, 0);
}

SEC("tc")
int l7egg_track(struct __sk_buff *skb)
{
	return arrive(skb, HOST_POLICY, 0, 1, 1);
}

SEC("tc")
int l7egg_track_l3(struct __sk_buff *skb)
{
	return arrive(skb, HOST_POLICY, 0, 1, 0);
}

/* Never attached: user space runs it to write leases. */
SEC("tc")
int l7egg_teach(struct __sk_buff *skb)
{
	return teach(skb);
}

SEC("cgroup/connect4")
int l7egg_connect4(struct bpf_sock_addr *ctx)
{
	return note_process(ctx);
}

SEC("cgroup/connect6")
int l7egg_connect6(struct bpf_sock_addr *ctx)
{
	return note_process(ctx);
}

SEC("cgroup/sendmsg4")
int l7egg_sendmsg4(struct bpf_sock_addr *ctx)
{
	return note_process(ctx);
}

SEC("cgroup/sendmsg6")
int l7egg_sendmsg6(struct bpf_sock_addr *ctx)
{
	return note_process(ctx);
}

SEC("cgroup_skb/egress")
int l7egg_leave_subject(struct __sk_buff *skb)
{
	return leave_subject(skb);
}

SEC("cgroup_skb/ingress")
int l7egg_enter_subject(struct __sk_buff *skb)
{
	return enter_subject(skb);
}

SEC("cgroup/connect4")
int l7egg_call4_subject(struct bpf_sock_addr *ctx)
{
	return call_from_subject(ctx, 4);
}

SEC("cgroup/connect6")
int l7egg_call6_subject(struct bpf_sock_addr *ctx)
{
	return call_from_subject(ctx, 6);
}

SEC("cgroup/sendmsg4")
int l7egg_send4_subject(struct bpf_sock_addr *ctx)
{
	return send_from_subject(ctx);
}

SEC("cgroup/sendmsg6")
int l7egg_send6_subject(struct bpf_sock_addr *ctx)
{
	return send_from_subject(ctx);
}

SEC("sockops")
int l7egg_socket_end(struct bpf_sock_ops *ctx)
{
	return follow_socket(ctx, 1);
}

SEC("sockops")
int l7egg_end_subject(struct bpf_sock_ops *ctx)
{
	return follow_socket(ctx, 0);
}

SEC("cgroup/sock_create")
int l7egg_socket_subject(struct bpf_sock *ctx)
{
	return make_socket(ctx);
}
