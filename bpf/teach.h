/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Lessons of user space: answers that it decoded itself, and entries that may go. */
#ifndef L7EGG_TEACH_H
#define L7EGG_TEACH_H

#include "flow.h"

#define LESSON_REFUSED 0
#define LESSON_TAKEN 1

/* Deletes the entry when all it holds has ended, of rules that are gone. What a rule in force held stays
 * until its record in the share of the rule is needed: if it came back with a record of its own, the old
 * record would pass for a live lease, and in the end evict one.
 */
static __always_inline void prune_address(struct scratch *s, struct host_key *key)
{
	struct leases *leases = bpf_map_lookup_elem(&learned, key);
	__u32 live = 0, dead = 0, now = boot_seconds(s);

	if (!leases)
		return;
	for (int i = 0; i < MAX_HELD; i++)
		if (leases->held[i] && find_rule(s->slot, leases->held[i] >> 32))
			return;
	bpf_spin_lock(&leases->lock);
#pragma unroll
	for (int i = 0; i < MAX_HELD; i++)
		if ((__u32)leases->held[i] > now)
			live = 1;
	if (!live && !leases->dead) {
		leases->dead = 1;
		dead = 1;
	}
	bpf_spin_unlock(&leases->lock);
	if (dead)
		bpf_map_delete_elem(&learned, key);
}

/* Gives a lease that has no record one: shares moved while it was learned. */
static __always_inline void record_again(struct scratch *s, struct host_key *key, __u32 rule_id)
{
	struct leases *leases = bpf_map_lookup_elem(&learned, key);
	struct rule *rule = find_rule(s->slot, rule_id);
	__u32 now = boot_seconds(s);

	if (leases && rule && rule->ring_length && lease_end(leases, rule_id) > now)
		record_lease(key, rule_id, rule, now);
}

struct lesson_walk {
	struct scratch *s;
	struct lesson *lesson;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lesson);
} lesson_area SEC(".maps");

static long lesson_step(__u32 round, struct lesson_walk *walk)
{
	struct lesson *lesson = walk->lesson;
	struct host_key key = { .policy = lesson->policy };
	__u32 n = round;

	if (n >= lesson->n_addrs || n >= MAX_EVENT_ADDRS)
		return 1;
	opaque(n);
	n &= MAX_EVENT_ADDRS - 1;
	copy_addr(&key.addr, &lesson->addrs[n]);
	if (lesson->kind == LESSON_PRUNE) {
		prune_address(walk->s, &key);
		return 0;
	}
	if (lesson->kind == LESSON_RECORD) {
		record_again(walk->s, &key, lesson->rules[0]);
		return 0;
	}
	if (lesson->kind == LESSON_DROP) {
		drop_lease(&key, lesson->rules[0]);
		return 0;
	}
	copy_addr(&walk->s->collected[n].addr, &key.addr);
	for (int i = 0; i < MAX_HELD; i++) {
		if (i >= lesson->n_rules)
			break;
		learn_address(walk->s->area, n, lesson->rules[i], lesson->ttl_seconds);
	}
	return 0;
}

static __always_inline int teach(struct __sk_buff *skb)
{
	struct control *c = get_control();
	struct scratch *s = get_scratch(TEACHING_SCRATCH);
	struct lesson_walk walk = { .s = s };
	__u32 zero = 0;

	walk.lesson = bpf_map_lookup_elem(&lesson_area, &zero);
	if (!c || !s || !walk.lesson ||
	    bpf_skb_load_bytes(skb, 0, walk.lesson, sizeof(*walk.lesson)))
		return LESSON_REFUSED;
	s->area = TEACHING_SCRATCH;
	s->slot = c->active & 1;
	s->policy = walk.lesson->policy;
	s->boot_ns = 0;
	s->boot_seconds = 0;
	bpf_loop(MAX_EVENT_ADDRS, lesson_step, &walk, 0);
	return LESSON_TAKEN;
}

#endif
