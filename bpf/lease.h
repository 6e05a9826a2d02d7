/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Leases: which rules hold a learned address, and until when.
 *
 * Every lease of an address by a rule has one record in the share of that rule
 * in lease_ring. A share is a ring: who runs out of it gives up its own oldest
 * lease, so a flood under one rule harms only that rule, and there are never
 * more addresses than records.
 */
#ifndef L7EGG_LEASE_H
#define L7EGG_LEASE_H

#include "name.h"

#define LEASE_FLOOR_SECONDS 60
#define LEASE_CEILING_SECONDS 86400
#define LEASE_GRACE_SECONDS 30
#define EVICTION_PROBES 4

static __always_inline __u64 make_held(__u32 rule, __u32 ttl_seconds, __u32 now)
{
	if (ttl_seconds < LEASE_FLOOR_SECONDS)
		ttl_seconds = LEASE_FLOOR_SECONDS;
	if (ttl_seconds > LEASE_CEILING_SECONDS)
		ttl_seconds = LEASE_CEILING_SECONDS;
	return (__u64)rule << 32 | (now + ttl_seconds + LEASE_GRACE_SECONDS);
}

/* The end of this rule's lease, 0 = it has none. */
static __always_inline __u32 lease_end(struct leases *leases, __u32 rule)
{
	for (int i = 0; i < MAX_HELD; i++) {
		__u64 held = leases->held[i];

		if (held >> 32 == rule)
			return (__u32)held;
	}
	return 0;
}

/* Takes this rule's lease away; the entry goes with its last one. */
static __always_inline void drop_lease(struct host_key *key, __u32 rule)
{
	struct leases *leases = bpf_map_lookup_elem(&learned, key);
	__u64 left = 0;
	__u32 dead = 0;

	if (!leases)
		return;
	bpf_spin_lock(&leases->lock);
	for (int i = 0; i < MAX_HELD; i++) {
		if (leases->held[i] >> 32 == rule)
			leases->held[i] = 0;
		left |= leases->held[i];
	}
	if (!left && !leases->dead) {
		leases->dead = 1;
		dead = 1;
	}
	bpf_spin_unlock(&leases->lock);
	if (dead)
		bpf_map_delete_elem(&learned, key);
}

enum held_result {
	HELD_RENEWED,
	HELD_NEW,
	HELD_EVICTED, /* took the place of the lease that would have ended first */
	HELD_DEAD,
};

/* Puts a lease among those an address or name has: over its rule's own, or the soonest to end. */
static __always_inline int place_lease(__u64 *held_by, __u64 lease, __u32 now)
{
	__u32 rule = lease >> 32, soonest = 0, soonest_end = ~0u;

#pragma unroll
	for (int i = 0; i < MAX_HELD; i++) {
		__u64 held = held_by[i];

		if (held >> 32 == rule) {
			/* A shorter answer does not shorten what an earlier one gave. */
			if ((__u32)held < (__u32)lease)
				held_by[i] = lease;
			return HELD_RENEWED;
		}
		if ((__u32)held < soonest_end) {
			soonest_end = (__u32)held;
			soonest = i;
		}
	}
#pragma unroll
	for (int i = 0; i < MAX_HELD; i++)
		if (i == soonest)
			held_by[i] = lease;
	return soonest_end <= now ? HELD_NEW : HELD_EVICTED;
}

/* Extends the lease that this rule has, where it has one. No lock: held[i] changes as a whole, and an entry
 * with a live lease is not about to be deleted. The second more is for pruners that read the clock just
 * after us. 0 = to be done under the lock.
 */
static __always_inline int renew(struct leases *leases, __u64 lease, __u32 now)
{
	for (int i = 0; i < MAX_HELD; i++) {
		__u64 held = leases->held[i];

		if (held >> 32 != lease >> 32)
			continue;
		if ((__u32)held <= now + 1)
			return 0;
		/* A shorter answer does not shorten what an earlier one gave. */
		return held >= lease ||
		       __sync_val_compare_and_swap(&leases->held[i], held, lease) == held;
	}
	return 0;
}

/* Writes the lease into the entry of an address. */
static __always_inline int hold(struct leases *leases, __u64 lease, __u32 now)
{
	int result = HELD_DEAD;

	bpf_spin_lock(&leases->lock);
	if (!leases->dead)
		result = place_lease(leases->held, lease, now);
	bpf_spin_unlock(&leases->lock);
	return result;
}

/* Enters a new lease in its rule's share. When that is full, the one of EVICTION_PROBES records gives way that ends
 * soonest. Of those that end in the same second it is another one in each lap: so each lives for as many newcomers as
 * the share has records, also where all of them come within a second.
 */
static __always_inline void record_lease(struct host_key *key, __u32 rule_id, struct rule *rule,
					 __u32 now)
{
	struct rule_state *state = bpf_map_lookup_elem(&rule_states, &rule_id);
	struct lease_record *record, *chosen = NULL;
	__u32 chosen_end = ~0u;

	if (!state)
		return;
	for (int i = 0; i < EVICTION_PROBES; i++) {
		__u64 position = __sync_fetch_and_add(&state->next_record, 1);
		__u64 lap = position / rule->ring_length;
		__u32 place = position - lap * rule->ring_length;
		__u32 index = rule->ring_base + place;
		struct host_key held_key = {};
		struct leases *leases;
		__u32 end = 0;

		record = bpf_map_lookup_elem(&lease_ring, &index);
		if (!record)
			return;
		/* A record of this very lease is left from an earlier one. */
		if (record->rule && (record->rule != rule_id || record->policy != key->policy ||
				     !same_addr(&record->addr, &key->addr))) {
			copy_addr(&held_key.addr, &record->addr);
			held_key.policy = record->policy;
			leases = bpf_map_lookup_elem(&learned, &held_key);
			if (leases)
				end = lease_end(leases, record->rule);
		}
		if (end < chosen_end ||
		    (end == chosen_end &&
		     place % EVICTION_PROBES == lap % EVICTION_PROBES)) {
			chosen = record;
			chosen_end = end;
		}
		if (chosen_end <= now)
			break;
	}
	if (!chosen)
		return;
	if (chosen->rule) {
		struct host_key old_key = { .policy = chosen->policy };

		copy_addr(&old_key.addr, &chosen->addr);
		if (chosen->rule != rule_id || !same_addr(&old_key.addr, &key->addr))
			drop_lease(&old_key, chosen->rule);
		if (chosen_end > now) {
			__sync_fetch_and_add(&state->evicted, 1);
			count(COUNT_EVICTED);
		}
	}
	copy_addr(&chosen->addr, &key->addr);
	chosen->policy = key->policy;
	chosen->rule = rule_id;
}

static __always_inline void count_learned(__u32 rule_id)
{
	struct rule_state *state = bpf_map_lookup_elem(&rule_states, &rule_id);

	if (state)
		__sync_fetch_and_add(&state->learned, 1);
}

/* Whether no answer may teach this address unless a rule says so: the closed list of the design, but for the
 * host's own addresses.
 */
static __always_inline int is_inward(const struct addr *addr)
{
	if (is_ipv4(addr)) {
		__u32 v4 = bpf_ntohl(addr->words_be[3]);

		if (v4 >> 24 == 0 || v4 >> 24 == 10 || v4 >> 24 == 127 ||
		    (v4 & 0xffc00000) == 0x64400000 || (v4 & 0xffff0000) == 0xa9fe0000 ||
		    (v4 & 0xfff00000) == 0xac100000 || (v4 & 0xffff0000) == 0xc0a80000 ||
		    v4 >> 29 == 7)
			return 1;
	} else {
		__u8 first = addr->bytes[0], second = addr->bytes[1];

		if ((first == 0xfe && (second & 0xc0) == 0x80) || (first & 0xfe) == 0xfc ||
		    first == 0xff ||
		    (addr->halves_be[0] == 0 && addr->words_be[2] == 0 &&
		     (addr->words_be[3] == 0 || addr->words_be[3] == bpf_htonl(1))))
			return 1;
	}
	return 0;
}

static __always_inline struct addr_rules *find_prefix(__u32 slot, __u32 policy,
						      const struct addr *addr)
{
	struct host_key host = { .policy = policy };
	struct prefix_key prefix = { .prefix_bits = 32 + 128, .policy = policy };
	struct addr_rules *found;
	void *inner;

	copy_addr(&host.addr, addr);
	inner = policy_map(&hosts, slot);
	if (inner) {
		found = bpf_map_lookup_elem(inner, &host);
		if (found) /* holds what the prefixes around it have, too */
			return found;
	}
	inner = policy_map(&prefixes, slot);
	if (!inner)
		return NULL;
	copy_addr(&prefix.addr, addr);
	return bpf_map_lookup_elem(inner, &prefix);
}

/* An inward answer is skipped unless the rule or a prefix rule says otherwise. */
static __always_inline int is_skipped(struct scratch *s, const struct addr *addr, struct rule *rule)
{
	struct addr_rules *found;

	if (rule && rule->flags & RULE_PRIVATE_ANSWERS)
		return 0;
	found = find_prefix(s->slot, s->policy, addr);
	if (found && found->allow_set)
		return 0;
	count(COUNT_INWARD);
	return 1;
}

#define TOLD_AGAIN_SECONDS 10

/* Whether an event should say that this name has this address: not each time that it is answered. */
static __always_inline int is_news(struct scratch *s, struct leases *leases, __u32 now)
{
	if (leases->told_name == (__u32)s->name_hash &&
	    now - leases->told_seconds < TOLD_AGAIN_SECONDS)
		return 0;
	leases->told_name = s->name_hash;
	leases->told_seconds = now;
	return 1;
}

enum learned_result {
	LEARNED_NOT,
	LEARNED_AGAIN, /* and user space knows */
	LEARNED_NEWS,
};

/* Gives `rule_id` a lease on the n-th collected address. Answers an enum learned_result. */
__noinline int learn_address(__u32 area, __u32 n, __u32 rule_id, __u32 ttl_seconds)
{
	struct scratch *s = get_scratch(area);
	struct leases *leases;
	struct host_key held_key = {}, *key = &held_key;
	struct rule *rule;
	int result = HELD_DEAD;
	__u64 lease;
	__u32 now;

	if (!s)
		return LEARNED_NOT;
	opaque(n);
	n &= MAX_COLLECTED - 1;
	copy_addr(&key->addr, &s->collected[n].addr);
	key->policy = s->policy;
	now = boot_seconds(s);
	lease = make_held(rule_id, ttl_seconds, now);
	if (is_inward(&key->addr) && is_skipped(s, &key->addr, find_rule(s->slot, rule_id)))
		return LEARNED_NOT;
	/* What lives was given when the address was not our own, and a lease of a rule that is gone allows nothing. */
	leases = bpf_map_lookup_elem(&learned, key);
	if (leases && renew(leases, lease, now))
		return is_news(s, leases, now) ? LEARNED_NEWS : LEARNED_AGAIN;
	rule = find_rule(s->slot, rule_id);
	if (!rule || !rule->ring_length) {
		count(COUNT_RULE_GONE);
		return LEARNED_NOT;
	}
	if (bpf_map_lookup_elem(&own_addresses, &key->addr) && is_skipped(s, &key->addr, rule))
		return LEARNED_NOT;
	/* Again: the entry may be on its way out, or another CPU may have made it just now. */
	for (int i = 0; i < 3 && result == HELD_DEAD; i++) {
		leases = bpf_map_lookup_elem(&learned, key);
		if (leases) {
			result = hold(leases, lease, now);
			if (result == HELD_DEAD)
				bpf_map_delete_elem(&learned, key);
			continue;
		}
		__builtin_memset(s->fresh, 0, sizeof(s->fresh));
		((__u32 *)&s->fresh[1])[0] = s->name_hash; /* told_name */
		((__u32 *)&s->fresh[1])[1] = now; /* told_seconds */
		s->fresh[2] = lease;
		if (!bpf_map_update_elem(&learned, key, s->fresh, BPF_NOEXIST))
			result = HELD_NEW;
	}
	if (result == HELD_DEAD) {
		count(COUNT_MAP_FULL);
		return LEARNED_NOT;
	}
	if (result == HELD_EVICTED)
		count(COUNT_EVICTED);
	if (result != HELD_RENEWED) {
		count_learned(rule_id);
		record_lease(key, rule_id, rule, now);
	}
	return LEARNED_NEWS;
}

/* Lists the n-th name of the CNAME chain by a rule of the name that was asked for. */
__noinline int learn_alias(__u32 area, __u32 n, __u32 rule_id)
{
	struct scratch *s = get_scratch(area);
	struct alias fresh = {};
	struct alias_key key = {};
	struct alias *alias;
	__u64 lease;

	if (!s)
		return 0;
	opaque(n);
	n &= MAX_CHAIN - 1;
	key.name_hash = s->chain[n];
	key.policy = s->policy;
	key.name_length = s->chain_lengths[n];
	lease = make_held(rule_id, s->chain_ttls[n], boot_seconds(s));
	alias = bpf_map_lookup_elem(&aliases, &key);
	/* No lock: an LRU map has none. Two writers at once may lose one alias, whose name is then
	 * listed again by the next answer.
	 */
	if (alias)
		return place_lease(alias->held, lease, boot_seconds(s));
	fresh.held[0] = lease;
	return bpf_map_update_elem(&aliases, &key, &fresh, BPF_NOEXIST);
}

#endif
