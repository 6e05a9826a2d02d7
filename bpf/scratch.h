/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Per-CPU scratch: the copy of a message and all state of its parser. tc
 * programs run with bottom halves off, so one is enough for them per CPU;
 * those of cgroups may be interrupted, and take one that is free.
 * State lives in this map value, not in registers: the verifier re-reads it as
 * unknown numbers, so the states of a loop look alike and are pruned. For the
 * same reason each larger step is a global function without arguments but the
 * context and the number of the scratch area: it is verified once, not once for each way that
 * leads to it. Not with a pointer to it: before 6.2 what a function is given may be no key of a map.
 */
#ifndef L7EGG_SCRATCH_H
#define L7EGG_SCRATCH_H

#include "maps.h"
#include "packet.h"

#define MESSAGE_MASK (MAX_DNS_MESSAGE - 1)
#define MAX_COLLECTED 256
#define MAX_CHAIN 16

#define DNS_HEADER 12

struct collected {
	struct addr addr;
	__u32 ttl_seconds;
};

/* What a verdict program says of the packet. */
struct verdict_result {
	__u32 rule;
	__u16 reason;
	__u16 verdict;
};

struct scratch {
	__u32 area; /* its own index: what functions are given, so that they look it up and may use it for keys */
	__u32 busy; /* somebody has taken it */
	__u32 ifindex; /* for events */
	__u32 pad;
	__u64 socket_cookie;
	__u64 asker_cookie; /* of the socket that asked what is answered; 0 = not known */
	struct packet pkt;
	struct flow_key key;
	struct verdict_result result;
	__u32 audit_rule; /* of those that cover the destination; 0 = none */
	__u64 boot_ns; /* see boot_ns() */
	__u32 boot_seconds;

	/* The DNS message; the slack lets a 16-byte read start at any masked index. */
	__u8 message[MAX_DNS_MESSAGE + 64];
	__u32 length;
	__u32 slot;
	__u32 epoch;

	/* The question: its name is in `event`; this is the reversed key for the trie. */
	struct name_key name_key;
	__u32 name_length;
	__u32 name_next_label;
	__u64 name_hash;
	__u16 qtype;
	__u16 qclass;
	__u32 question_end;

	/* What the name may: filled by match_name. */
	__u32 rules[MAX_HELD];
	__u32 n_rules;
	__u32 deny_rule;
	__u32 is_ancestor;
	__u32 is_exact;
	__u32 is_lookup;
	__u32 is_listed;

	/* Pattern matching. */
	__u32 candidates[MAX_PATTERNS];
	struct pattern pattern;
	__u32 candidate;
	__u32 at_pattern;
	__u32 at_name;
	__u32 star_pattern;
	__u32 star_name;
	__u32 has_star;
	__u32 pattern_loaded;

	/* Answer parser. */
	__u32 phase;
	__u32 after_name;
	__u32 at;
	__u32 segment_start;
	__u32 label_left;
	__u32 walked_length;
	__u64 walked_hash;
	__u32 wire_end; /* where the name ends in place; 0 = no pointer followed yet */
	__u32 record_start;
	__u32 answers_left;
	__u32 others_left; /* records behind the answer section: read through, never taken */
	__u32 is_answer;
	__u32 rdata_end;
	__u32 cname_ttl;
	__u32 chain_offset;
	__u64 chain_hash;
	__u64 chain[MAX_CHAIN];
	__u32 chain_lengths[MAX_CHAIN];
	__u32 chain_ttls[MAX_CHAIN];
	__u32 n_chain;
	__u32 has_hints;
	__u32 n_collected;
	struct collected collected[MAX_COLLECTED];

	/* Learning. */
	__u32 policy;
	__u32 asks_home; /* its resolvers are the trusted ones: it is not in a network namespace of its own making */
	__u32 at_collected;
	__u32 n_stored;
	/* A struct leases to be: a spin lock can't live here, so it is written as words. */
	__u64 fresh[2 + MAX_HELD];
	struct pending_key pending_key;
	struct pending pending;
	struct dns_event event; /* its name: wire form, lower case, of the question just read */
	__u64 event_slack; /* an address at any masked index ends in here */
};

/* BPF_PROG_TEST_RUN has bottom halves on in older kernels: what user space runs has its own. */
enum scratch_user {
	PACKET_SCRATCH, /* tc */
	TEACHING_SCRATCH,
	FIRST_CGROUP_SCRATCH,
	SCRATCHES = FIRST_CGROUP_SCRATCH + 6,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch_area SEC(".maps");

static __always_inline struct scratch *get_scratch(__u32 user)
{
	return bpf_map_lookup_elem(&scratch_area, &user);
}

/* For a program that a softirq, or on a preemptible kernel another process, may interrupt to run its like on this
 * CPU. Whoever gets none fails closed.
 */
static __always_inline struct scratch *take_scratch(void)
{
	for (int i = 0; i < SCRATCHES - FIRST_CGROUP_SCRATCH; i++) {
		struct scratch *s = get_scratch(FIRST_CGROUP_SCRATCH + i);

		if (s && !__sync_val_compare_and_swap(&s->busy, 0, 1)) {
			s->area = FIRST_CGROUP_SCRATCH + i;
			return s;
		}
	}
	return NULL;
}

static __always_inline void give_scratch_back(struct scratch *s)
{
	__sync_val_compare_and_swap(&s->busy, 1, 0);
}

static __always_inline struct control *get_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/* Since boot, suspend included: what leases count in. One reading for all that a packet needs. */
static __always_inline __u64 boot_ns(struct scratch *s)
{
	if (!s->boot_ns)
		s->boot_ns = bpf_ktime_get_boot_ns();
	return s->boot_ns;
}

static __always_inline __u32 boot_seconds(struct scratch *s)
{
	if (!s->boot_seconds)
		s->boot_seconds = boot_ns(s) / 1000000000ULL;
	return s->boot_seconds;
}

/* How long ago. Another CPU may have written a later time than the one we read before. */
static __always_inline __u64 age_ns(__u64 seen_ns, __u64 now)
{
	return now > seen_ns ? now - seen_ns : 0;
}

/* A reading costs as much as a look-up in a map. The coarse clock costs a fifth, but stands still in suspend:
 * how far it is behind is noted with each query, for the answers, each of which comes after one.
 */
struct clock_gap {
	__u64 ns;
	__u32 is_known;
	__u32 pad;
};

#define CLOCK_SLACK_NS 100000000ULL /* a tick and more */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct clock_gap);
} clock_gaps SEC(".maps");

static __always_inline void note_clock_gap(struct scratch *s)
{
	__u32 zero = 0;
	struct clock_gap *gap = bpf_map_lookup_elem(&clock_gaps, &zero);
	__u64 ns = boot_ns(s) - bpf_ktime_get_coarse_ns();

	/* The least is the truest, for the coarse clock lags by up to a tick: what it gives is never in the future,
	 * and an answer never later than what follows from it. Much more is a suspend.
	 */
	if (!gap || (gap->is_known && ns - gap->ns < CLOCK_SLACK_NS))
		return;
	gap->ns = ns;
	gap->is_known = 1;
}

static __always_inline void use_coarse_clock(struct scratch *s)
{
	__u32 zero = 0;
	struct clock_gap *gap = bpf_map_lookup_elem(&clock_gaps, &zero);

	if (gap && gap->is_known)
		s->boot_ns = bpf_ktime_get_coarse_ns() + gap->ns;
}

static __always_inline void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		*value += 1;
}

/* The inner map of a kind in this slot; absent = this policy has none of that kind. */
static __always_inline void *policy_map(void *outer, __u32 slot)
{
	return bpf_map_lookup_elem(outer, &slot);
}

static __always_inline struct rule *find_rule(__u32 slot, __u32 id)
{
	void *inner = policy_map(&rules, slot);

	return inner ? bpf_map_lookup_elem(inner, &id) : NULL;
}

/* One byte of the message; indices past the end read what an older message left, so compare with
 * length first.
 */
static __always_inline __u8 message_u8(struct scratch *s, __u32 index)
{
	opaque(index);
	index &= MESSAGE_MASK;
	return s->message[index];
}

static __always_inline __u16 message_u16(struct scratch *s, __u32 index)
{
	opaque(index);
	index &= MESSAGE_MASK;
	return bpf_ntohs(*(__u16 *)(s->message + index));
}

static __always_inline __u32 message_u32(struct scratch *s, __u32 index)
{
	opaque(index);
	index &= MESSAGE_MASK;
	return bpf_ntohl(*(__u32 *)(s->message + index));
}

#endif
