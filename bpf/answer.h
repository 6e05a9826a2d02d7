/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Answers of trusted resolvers: bound to a pending query, parsed whole, and
 * only then stored, before the packet goes up to whoever asked.
 */
#ifndef L7EGG_ANSWER_H
#define L7EGG_ANSWER_H

#include "records.h"

struct learn_walk {
	struct scratch *s;
};

static long learn_step(__u32 round, struct learn_walk *walk)
{
	struct scratch *s = walk->s;
	struct host_key key = { .policy = s->policy };
	__u32 n = s->at_collected, ttl, stored = 0, slots;

	if (n >= s->n_collected)
		return 1;
	opaque(n);
	n &= MAX_COLLECTED - 1;
	copy_addr(&key.addr, &s->collected[n].addr);
	ttl = s->collected[n].ttl_seconds;
	s->at_collected = n + 1;
	for (int i = 0; i < MAX_HELD; i++) {
		if (i >= s->n_rules || !s->rules[i])
			break;
		stored |= learn_address(s->area, n, s->rules[i], ttl);
	}
	if (s->n_rules) {
		if (!stored)
			return n + 1 >= s->n_collected;
		count(COUNT_LEARNED);
	}
	s->n_stored++;
	if (s->n_rules && !(stored & LEARNED_NEWS))
		return n + 1 >= s->n_collected;
	slots = s->event.head.n_addrs;
	opaque(slots);
	slots &= MAX_EVENT_ADDRS - 1;
	copy_addr(event_addr(s, slots), &key.addr);
	s->event.head.n_addrs = slots + 1;
	if (slots + 1 == MAX_EVENT_ADDRS) {
		send_dns_event(s, MAX_EVENT_ADDRS);
		s->event.head.n_addrs = 0;
	}
	return n + 1 >= s->n_collected;
}

static __always_inline void tell_unparsed(struct __sk_buff *skb, struct scratch *s, __u32 detail)
{
	count(COUNT_UNPARSED);
	start_dns_event(skb, s, 1, VERDICT_ALLOW, REASON_DNS_UNPARSED, detail);
	send_dns_event(s, 0);
}

/* The answer is an error of the code `rcode`. Each question is a series of its own: that one resolver fails for many names
 * hides none of them.
 */
__noinline int tell_failed(struct __sk_buff *skb, __u32 area, __u32 rcode)
{
	struct series_key key = { .reason = REASON_DNS_FAILED, .rcode = rcode };
	struct scratch *s = get_scratch(area);
	struct share share;

	if (!s)
		return 0;
	key.remote_port_be = s->pkt.source_port_be;
	key.policy = s->policy;
	key.l4_proto = s->pkt.l4_proto;
	key.question = (__u32)(s->name_hash ^ s->name_hash >> 32) ^ (__u32)s->qtype << 16;
	copy_addr(&key.remote, &s->pkt.source);
	share = next_in_series(&key);
	if (!share.count)
		return 0;
	start_dns_event(skb, s, 1, VERDICT_ALLOW, REASON_DNS_FAILED, 0);
	s->event.head.rcode = rcode;
	s->event.head.count = share.count;
	s->event.head.window_ms = share.window_ms;
	send_dns_event(s, 0);
	return 1;
}

/* Stores what was collected, for the rules in s->rules. */
static __always_inline void store_collected(struct __sk_buff *skb, struct scratch *s)
{
	struct learn_walk walk = { .s = s };

	s->at_collected = 0;
	s->n_stored = 0;
	start_dns_event(skb, s, 1, VERDICT_ALLOW, s->n_rules ? REASON_LEARNED : REASON_OBSERVED, 0);
	bpf_loop(MAX_COLLECTED, learn_step, &walk, 0);
	if (s->event.head.n_addrs)
		send_dns_event(s, s->event.head.n_addrs);
	else if (s->n_collected && !s->n_stored) {
		s->event.head.verdict = VERDICT_DENY;
		s->event.head.reason = REASON_DNS_INWARD;
		copy_addr(event_addr(s, 0), &s->collected[0].addr);
		send_dns_event(s, 1);
	}
}

struct alias_walk {
	struct scratch *s;
	__u32 at;
};

static long alias_step(__u32 round, struct alias_walk *walk)
{
	struct scratch *s = walk->s;
	__u32 n = round + 1, i = 0;

	if (n >= s->n_chain)
		return 1;
	for (i = 0; i < MAX_HELD; i++) {
		if (i >= s->n_rules)
			break;
		learn_alias(s->area, n, s->rules[i]);
	}
	return 0;
}

static __always_inline long forget_query(struct scratch *s, int is_observed)
{
	return is_observed ? bpf_map_delete_elem(&observed_queries, &s->pending_key) :
			     bpf_map_delete_elem(&pending_queries, &s->pending_key);
}

/* The scratch packet came from a trusted resolver's DNS port. */
__noinline int handle_answer(struct __sk_buff *skb, __u32 area)
{
	struct scratch *s = get_scratch(area);
	struct control *c = get_control();
	struct pending *pending;
	struct packet *pkt;
	__u32 offset, n, phase, epoch;
	int is_observed;
	__u16 flags;

	if (!s || !c)
		return 0;
	pkt = &s->pkt;
	offset = pkt->payload_offset;
	n = pkt->l3_end - pkt->payload_offset;
	s->name_length = 0;
	s->n_rules = 0;
	s->rules[0] = 0;
	s->qtype = 0;
	s->asker_cookie = 0;
	if (pkt->is_fragment) {
		tell_unparsed(skb, s, UNPARSED_FRAGMENT);
		return 0;
	}
	if (pkt->l4_proto == IPPROTO_TCP) {
		struct dns_stream_key key = {};
		struct dns_stream *stream;
		__u16 message_length_be;

		if (n == 0)
			return 0;
		set_stream_key(&key, s->policy, &pkt->destination, pkt->destination_port_be, &pkt->source,
			       pkt->source_port_be);
		stream = bpf_map_lookup_elem(&dns_streams, &key);
		if (!stream || stream->next_sequence != pkt->sequence) {
			count(COUNT_SEQUENCE);
			/* In order or not, user space asks for what is pending on this stream. */
			if (stream && pkt->sequence - stream->next_sequence < 1 << 20)
				tell_unparsed(skb, s, UNPARSED_SPLIT);
			return 0;
		}
		stream->next_sequence = pkt->sequence + n;
		if (n < 2 || bpf_skb_load_bytes(skb, offset, &message_length_be, 2) ||
		    bpf_ntohs(message_length_be) != n - 2) {
			tell_unparsed(skb, s, UNPARSED_SPLIT);
			return 0;
		}
		offset += 2;
		n -= 2;
	}
	if (n < DNS_HEADER) {
		count(COUNT_MALFORMED);
		return 0;
	}
	if (n > MAX_DNS_MESSAGE) {
		tell_unparsed(skb, s, UNPARSED_SIZE);
		return 0;
	}
	if (!copy_message(skb, s, offset, n)) {
		count(COUNT_MALFORMED);
		return 0;
	}
	flags = message_u16(s, 2);
	if (!(flags & DNS_FLAG_RESPONSE) || flags & DNS_OPCODE || message_u16(s, 4) != 1) {
		count(COUNT_MALFORMED);
		return 0;
	}
	bind_query(s, &pkt->destination, pkt->destination_port_be, &pkt->source,
		   pkt->source_port_be, message_u16(s, 0), pkt->l4_proto);
	pending = bpf_map_lookup_elem(&pending_queries, &s->pending_key);
	is_observed = !pending;
	if (is_observed)
		pending = bpf_map_lookup_elem(&observed_queries, &s->pending_key);
	if (!pending) {
		count(COUNT_UNBOUND);
		return 0;
	}
	if (!(repeats_question(s, pending) || read_question(s->area)) || s->qclass != DNS_CLASS_IN ||
	    s->name_hash != pending->name_hash || s->name_length != pending->name_length ||
	    s->qtype != pending->qtype) {
		count(COUNT_QUESTION);
		return 0;
	}
	use_coarse_clock(s);
	if (age_ns(pending->asked_boot_ns, boot_ns(s)) > ANSWER_LIFE_NS) {
		forget_query(s, is_observed);
		count(COUNT_LATE);
		return 0;
	}
	s->n_rules = 0;
#pragma unroll
	for (int i = 0; i < MAX_HELD; i++) {
		s->rules[i] = pending->rules[i];
		if (s->rules[i])
			s->n_rules = i + 1;
	}
	epoch = pending->epoch;
	s->asker_cookie = pending->socket_cookie;

	/* Once: who deletes it, may learn from it. */
	if (forget_query(s, is_observed)) {
		count(COUNT_UNBOUND);
		return 0;
	}
	if (!s->n_rules && !is_observed) /* refused by us, and this is our own answer */
		return 0;
	if (flags & DNS_FLAG_TRUNCATED && !is_observed) {
		tell_unparsed(skb, s, UNPARSED_TRUNCATED);
		return 0;
	}
	if (flags & DNS_RCODE) {
		count(COUNT_RCODE);
		tell_failed(skb, s->area, flags & DNS_RCODE);
		return 0;
	}
	if (flags & DNS_FLAG_TRUNCATED)
		return 0;
	if (epoch != s->epoch && !is_observed) {
		if (!read_question(s->area))
			return 0;
		match_name(s->area);
		if (!s->is_listed || s->deny_rule)
			return 0;
	}
	phase = parse_answer(s, c);
	if (phase == PHASE_MALFORMED) {
		count(COUNT_MALFORMED);
		return 0;
	}
	if (phase != PHASE_DONE) {
		if (is_observed)
			return 0;
		tell_unparsed(skb, s, UNPARSED_STEPS);
		return 0;
	}
	if (s->n_chain > 1 && !is_observed) {
		struct alias_walk walk = { .s = s };

		bpf_loop(MAX_CHAIN, alias_step, &walk, 0);
	}
	if (s->n_collected)
		store_collected(skb, s);
	if (s->has_hints && !is_observed)
		tell_unparsed(skb, s, UNPARSED_HINTS);
	return 1;
}

#endif
