/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Events to user space: the first of a series at once, then a count once a second. */
#ifndef L7EGG_EVENT_H
#define L7EGG_EVENT_H

#include "kernel-path.h"
#include "parse.h"

#define SERIES_NS 1000000000ULL

static __always_inline struct proc *find_process(__u64 cookie)
{
	return cookie ? bpf_map_lookup_elem(&procs, &cookie) : NULL;
}

/* Looking its program up keeps that from being forgotten: it was written when the process first called. */
static __always_inline void add_process(struct event *event, struct proc *proc)
{
	struct program_key key = {};

	if (!proc)
		return;
	key.started_ns = proc->started_ns;
	key.pid = proc->pid;
	key.exec_id = proc->exec_id;
	bpf_map_lookup_elem(&programs, &key);
	event->started_ns = proc->started_ns;
	event->exec_id = proc->exec_id;
	event->cgroup_id = proc->cgroup_id;
	event->pid = proc->pid;
	event->uid = proc->uid;
	__builtin_memcpy(event->comm, proc->comm, sizeof(event->comm));
}

/* What an event stands for; count 0 = it only counts for a later one. */
struct share {
	__u64 count;
	__u32 window_ms; /* the time that count is of */
	__u32 pad;
};

static __always_inline struct share next_in_series(struct series_key *key)
{
	__u64 now = bpf_ktime_get_coarse_ns(), age;
	struct series *found, first = { .told_ns = now };
	struct share share = { .count = 1 };

	found = bpf_map_lookup_elem(&series, key);
	if (!found) {
		bpf_map_update_elem(&series, key, &first, BPF_ANY);
		return share;
	}
	age = now - found->told_ns;
	if (age < SERIES_NS) {
		__sync_fetch_and_add(&found->count, 1);
		share.count = 0;
		return share;
	}
	found->told_ns = now;
	if (!found->count) /* it was quiet: another series */
		return share;
	share.count += found->count;
	share.window_ms = age / 1000000;
	found->count = 0;
	return share;
}

static __always_inline struct share next_refusal(struct packet *pkt, __u32 policy, __u8 reason,
						 struct proc *proc)
{
	struct series_key key = { .remote_port_be = pkt->destination_port_be,
				  .policy = policy,
				  .l4_proto = pkt->l4_proto,
				  .reason = reason,
				  .pid = proc ? proc->pid : 0 };

	copy_addr(&key.remote, &pkt->destination);
	return next_in_series(&key);
}

/* Whether what passed may still be told: a quarter of the ring is kept for all else, so that a flood of what passes hides
 * no refusal, and keeps no answer of a resolver from the enforcer.
 */
static __always_inline int has_room_for_passed(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) <
	       bpf_ringbuf_query(&events, BPF_RB_RING_SIZE) / 4 * 3;
}

/* Tells the verdict of the packet in the scratch area, of the socket and the interface noted there. */
__noinline int tell_flow(__u32 area)
{
	struct scratch *s = get_scratch(area);
	struct verdict_result *result;
	struct packet *pkt;
	struct proc *proc;
	struct event *event = NULL;
	struct share share = { .count = 1 };

	if (!s)
		return 0;
	pkt = &s->pkt;
	result = &s->result;
	proc = find_process(s->socket_cookie);
	if (result->verdict != VERDICT_ALLOW) {
		share = next_refusal(pkt, s->policy, result->reason, proc);
		if (!share.count)
			return 0;
	}
	if (result->verdict != VERDICT_ALLOW || has_room_for_passed())
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(COUNT_RING_FULL);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->boot_ns = boot_ns(s);
	event->count = share.count;
	event->window_ms = share.window_ms;
	event->ifindex = s->ifindex;
	event->rule = result->rule;
	event->kind = EVENT_FLOW;
	event->verdict = result->verdict;
	event->reason = result->reason;
	event->policy = s->policy;
	event->local_port_be = pkt->source_port_be;
	event->remote_port_be = pkt->destination_port_be;
	event->l4_proto = pkt->l4_proto;
	event->detail = pkt->icmp_type;
	event->ether_type = pkt->ether_type;
	copy_addr(&event->local, &pkt->source);
	copy_addr(&event->remote, &pkt->destination);
	add_process(event, proc);
	bpf_ringbuf_submit(event, 0);
	return 1;
}

/* Whose packet it is, for the event. The numbers of interfaces mean nothing in another network namespace. */
static __always_inline void note_sender(struct __sk_buff *skb, struct scratch *s)
{
	s->ifindex = s->asks_home ? skb->ifindex : 0;
	s->socket_cookie = bpf_get_socket_cookie(skb);
}

/* Where the n-th address of s->event goes, behind the name. */
static __always_inline struct addr *event_addr(struct scratch *s, __u32 n)
{
	__u32 at = ((s->name_length + 7) & ~7) + n * sizeof(struct addr);

	opaque(at);
	at &= 0x1f8;
	return (struct addr *)(s->event.name + at);
}

/* Sends s->event with the name of the scratch area and n addresses. Whose socket gets an answer is not known yet: the
 * query said it.
 */
static __always_inline void send_dns_event(struct scratch *s, __u32 n_addrs)
{
	__u32 size;

	s->event.head.n_addrs = n_addrs;
	add_process(&s->event.head, find_process(s->asker_cookie));
	size = offsetof(struct dns_event, name) + ((s->name_length + 7) & ~7) +
	       n_addrs * sizeof(struct addr);
	opaque(size);
	if (size > sizeof(s->event))
		size = sizeof(s->event);
	if (bpf_ringbuf_output(&events, &s->event, size, 0))
		count(COUNT_RING_FULL);
}

/* Fills the head of s->event: an event about the name of the scratch area. */
static __always_inline void start_dns_event(struct __sk_buff *skb, struct scratch *s, int is_answer,
					    __u32 verdict, __u32 reason, __u32 detail)
{
	struct event *event = &s->event.head;
	struct packet *pkt = &s->pkt;

	__builtin_memset(event, 0, sizeof(*event));
	event->boot_ns = boot_ns(s);
	event->count = 1;
	event->ifindex = skb->ifindex;
	event->kind = EVENT_DNS;
	event->verdict = verdict;
	event->reason = reason;
	event->detail = detail;
	event->policy = s->policy;
	event->qtype = s->qtype;
	event->l4_proto = pkt->l4_proto;
	event->ether_type = pkt->ether_type;
	event->name_length = s->name_length;
	event->rule = s->rules[0];
	/* local = the client, remote = the resolver, whichever way the packet goes. */
	copy_addr(&event->local, is_answer ? &pkt->destination : &pkt->source);
	copy_addr(&event->remote, is_answer ? &pkt->source : &pkt->destination);
	event->local_port_be = is_answer ? pkt->destination_port_be : pkt->source_port_be;
	event->remote_port_be = is_answer ? pkt->source_port_be : pkt->destination_port_be;
}

#endif
