// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What the tests of src/libbpf load: one map of each kind in use, programs with
 * known answers. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 first_constant = 1;
const volatile __u64 second_constant = 2;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} runs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} slots SEC(".maps");

/* Answers what user space told it. */
SEC("tc")
int answer_constants(struct __sk_buff *skb)
{
	return first_constant * 100 + second_constant;
}

/* Answers the value of key 7 in the inner map of slot 1; 1000 without. */
SEC("tc")
int answer_slot(struct __sk_buff *skb)
{
	__u32 slot = 1, key = 7, *value;
	void *inner = bpf_map_lookup_elem(&slots, &slot);

	if (!inner)
		return 1000;
	value = bpf_map_lookup_elem(inner, &key);
	return value ? *value : 1001;
}

/* Answers the interfaces that the test run was given. */
SEC("tc")
int answer_ifindex(struct __sk_buff *skb)
{
	return skb->ingress_ifindex * 1000 + skb->ifindex;
}

/* One record for each run. Mark 1: the sequence number only; 2: filled and
 * discarded. Answers 1 for a full ring. */
__u64 sequence;
struct record {
	__u64 number;
	__u8 filler[56];
};

SEC("tc")
int emit(struct __sk_buff *skb)
{
	struct record *record;
	__u64 number = __sync_fetch_and_add(&sequence, 1);

	if (skb->mark == 1) {
		__u64 *small = bpf_ringbuf_reserve(&events, sizeof(*small), 0);

		if (!small)
			return 1;
		*small = number;
		bpf_ringbuf_submit(small, 0);
		return 0;
	}
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record)
		return 1;
	record->number = number;
	__builtin_memset(record->filler, number & 0xff, sizeof(record->filler));
	if (skb->mark == 2)
		bpf_ringbuf_discard(record, 0);
	else
		bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tc")
int pass(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

SEC("tc")
int count(struct __sk_buff *skb)
{
	__u32 zero = 0, *count = bpf_map_lookup_elem(&runs, &zero);

	if (count)
		(*count)++;
	return TC_ACT_UNSPEC;
}

SEC("tc")
int drop(struct __sk_buff *skb)
{
	return TC_ACT_SHOT;
}

SEC("cgroup/connect4")
int refuse_connect(struct bpf_sock_addr *ctx)
{
	return 0;
}

/* Only loaded by the test of the verifier's refusal. */
SEC("?tc")
int refused_by_verifier(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *number = bpf_map_lookup_elem(&numbers, &zero);

	return *number;
}
