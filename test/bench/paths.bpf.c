// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What the paths of l7egg are measured against: a program that only returns, and
 * one that makes answers. An answer can be bound to its query only once, but
 * BPF_PROG_TEST_RUN repeats a run on the same bytes. So of each few packets the
 * first half enter queries, and the others are their answers, each with a query
 * id of its own and, if asked for, with addresses of its own.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "../../bpf/contract.h"

#define PASS -1 /* TC_ACT_UNSPEC */
#define MESSAGE_AT (14 + 20 + 8)
#define MAX_RECORDS 32
#define RECORD_BYTES 16 /* pointer, type, class, TTL, length, address */
#define ADDRESS_AT 12

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

/* The map of the programs under test. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_PENDING);
	__type(key, struct pending_key);
	__type(value, struct pending);
} pending_queries SEC(".maps");

struct plan {
	__u32 waiting; /* queries that wait at a time */
	__u32 at; /* up to `waiting`: a query, then as many answers */
	__u32 records_at; /* in the message */
	__u32 renumbered; /* records that get a new address each time */
	struct pending_key key;
	struct pending query;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plan);
} plans SEC(".maps");

static __always_inline void make_answer(struct __sk_buff *skb, struct plan *plan, __u16 id)
{
	__u8 *start = (__u8 *)(long)skb->data, *end = (__u8 *)(long)skb->data_end;
	__u16 *id_be = (__u16 *)(start + MESSAGE_AT);

	if ((__u8 *)(id_be + 1) > end)
		return;
	*id_be = bpf_htons(id);
	for (__u32 i = 0; i < MAX_RECORDS; i++) {
		__u32 at = MESSAGE_AT + plan->records_at + i * RECORD_BYTES + ADDRESS_AT;
		__u16 *low_be;

		if (i >= plan->renumbered || at > 1024)
			return;
		low_be = (__u16 *)(start + at + 2);
		if ((__u8 *)(low_be + 1) > end)
			return;
		*low_be = bpf_htons(bpf_ntohs(*low_be) + plan->renumbered);
	}
}

SEC("tc")
int bare(struct __sk_buff *skb)
{
	return PASS;
}

SEC("tc")
int answers(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct plan *plan = bpf_map_lookup_elem(&plans, &zero);

	if (!plan)
		return PASS;
	if (++plan->at > 2 * plan->waiting)
		plan->at = 1;
	if (plan->at <= plan->waiting) {
		plan->key.query_id_be = bpf_htons(plan->at);
		bpf_map_update_elem(&pending_queries, &plan->key, &plan->query, BPF_ANY);
		return PASS;
	}
	make_answer(skb, plan, plan->at - plan->waiting);
	bpf_tail_call(skb, &target, 0);
	return PASS;
}
