/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Queries on their way to a trusted resolver. */
#ifndef L7EGG_QUERY_H
#define L7EGG_QUERY_H

#include "dns.h"

/* glibc asks for A and AAAA in one segment; what has more is not read. */
#define MAX_SEGMENT_QUERIES 4

enum query_verdict {
	QUERY_PASS,
	QUERY_REFUSE, /* by name: answered NXDOMAIN */
	QUERY_DROP, /* strict or deny-name, and not a query we can read */
};

/* A zone cut on the way to a listed name may be asked what DNSSEC and qname minimisation ask. */
static __always_inline int is_walk_type(__u16 qtype)
{
	return qtype == TYPE_A || qtype == TYPE_NS || qtype == TYPE_SOA || qtype == TYPE_DS ||
	       qtype == TYPE_DNSKEY;
}

/* What programs ask for. Others (NULL, ANY, private types) would carry the most data under a wildcard, to whoever
 * serves the zone.
 */
static __always_inline int is_common_type(__u16 qtype)
{
	switch (qtype) {
	case TYPE_A:
	case TYPE_NS:
	case TYPE_CNAME:
	case TYPE_SOA:
	case TYPE_PTR:
	case TYPE_MX:
	case TYPE_TXT:
	case TYPE_AAAA:
	case TYPE_SRV:
	case TYPE_NAPTR:
	case TYPE_DS:
	case TYPE_DNSKEY:
	case TYPE_TLSA:
	case TYPE_SVCB:
	case TYPE_HTTPS:
	case TYPE_CAA:
		return 1;
	}
	return 0;
}

static __always_inline void remember_query(struct scratch *s, void *map)
{
	struct pending *pending = &s->pending;

	pending->asked_boot_ns = boot_ns(s);
	note_clock_gap(s);
	pending->name_hash = s->name_hash;
	pending->socket_cookie = s->asker_cookie;
	pending->epoch = s->epoch;
	pending->qtype = s->qtype;
	pending->name_length = s->name_length;
	__builtin_memcpy(pending->name, s->event.name, sizeof(pending->name));
#pragma unroll
	for (int i = 0; i < MAX_HELD; i++)
		pending->rules[i] = i < s->n_rules ? s->rules[i] : 0;
	if (bpf_map_update_elem(map, &s->pending_key, pending, BPF_ANY))
		count(COUNT_MAP_FULL);
	count(COUNT_QUERIES);
}

/* A query that can't be read hides its name: under strict or deny-name it does not pass. */
static __always_inline int unreadable_query(struct scratch *s, __u32 policy_flags)
{
	if (!(policy_flags & (POLICY_STRICT_DNS | POLICY_DENY_NAMES)))
		return QUERY_PASS;
	s->result.reason = REASON_DNS_UNREADABLE;
	return QUERY_DROP;
}

/* Judges and remembers the query of n bytes at offset. */
__noinline int take_query(struct __sk_buff *skb, __u32 area, __u32 offset, __u32 n, __u32 policy_flags)
{
	struct scratch *s = get_scratch(area);
	struct verdict_result *result;
	struct packet *pkt;
	__u16 flags;

	if (!s)
		return QUERY_DROP;
	pkt = &s->pkt;
	result = &s->result;
	if (!copy_message(skb, s, offset, n))
		return unreadable_query(s, policy_flags);
	flags = message_u16(s, 2);
	if (flags & (DNS_FLAG_RESPONSE | DNS_OPCODE) || message_u16(s, 4) != 1 ||
	    message_u16(s, 6) != 0 || message_u16(s, 8) != 0 || !read_question(s->area))
		return unreadable_query(s, policy_flags);
	if (s->qclass != DNS_CLASS_IN)
		return unreadable_query(s, policy_flags);
	match_name(s->area);
	bind_query(s, &pkt->source, pkt->source_port_be, &pkt->destination,
		   pkt->destination_port_be, message_u16(s, 0), pkt->l4_proto);
	if (policy_flags & POLICY_DENY_NAMES && s->deny_rule) {
		result->rule = s->deny_rule;
		result->reason = REASON_DNS_DENIED;
		return QUERY_REFUSE;
	}
	if (policy_flags & POLICY_STRICT_DNS && !s->is_listed && !s->is_lookup &&
	    !(s->is_ancestor && is_walk_type(s->qtype))) {
		result->reason = REASON_DNS_STRICT;
		return QUERY_REFUSE;
	}
	if (policy_flags & POLICY_STRICT_DNS && (s->is_listed || s->is_lookup) && !s->is_exact &&
	    !is_common_type(s->qtype)) {
		result->reason = REASON_DNS_TYPE;
		return QUERY_REFUSE;
	}
	/* A denied name gives no lease, wherever it is asked. */
	if (s->is_listed && !s->deny_rule) {
		remember_query(s, &pending_queries);
	} else {
		s->n_rules = 0;
		remember_query(s, &observed_queries);
	}
	return QUERY_PASS;
}

/* Judges and remembers what the scratch packet asks. policy_flags is 0 where the interface gives no
 * verdict.
 */
__noinline int handle_query(struct __sk_buff *skb, __u32 area, __u32 policy_flags)
{
	struct scratch *s = get_scratch(area);
	struct dns_stream_key key = {};
	struct dns_stream *stream, fresh = {};
	struct packet *pkt;
	__u32 offset, n;

	if (!s)
		return QUERY_DROP;
	pkt = &s->pkt;
	offset = pkt->payload_offset;
	n = pkt->l3_end - pkt->payload_offset;
	s->name_length = 0;
	s->n_rules = 0;
	s->qtype = 0;
	s->asker_cookie = bpf_get_socket_cookie(skb);
	if (pkt->is_fragment) /* a query in pieces could hide its name */
		return unreadable_query(s, policy_flags);
	if (pkt->l4_proto != IPPROTO_TCP) {
		/* The device will cut it into datagrams, each a query of its own (UDP_SEGMENT). */
		if (skb->gso_size)
			return unreadable_query(s, policy_flags);
		return take_query(skb, s->area, offset, n, policy_flags);
	}
	set_stream_key(&key, s->policy, &pkt->source, pkt->source_port_be, &pkt->destination,
		       pkt->destination_port_be);
	if (!(pkt->tcp_flags & TCP_ACK)) {
		/* The port may be in use again: the numbers of the stream before mean nothing. */
		bpf_map_delete_elem(&dns_streams, &key);
		/* A SYN may carry data (TCP fast open): no name has been judged yet. */
		return n ? unreadable_query(s, policy_flags) : QUERY_PASS;
	}
	fresh.next_sequence = pkt->acknowledged;
	stream = bpf_map_lookup_elem(&dns_streams, &key);
	if (!stream)
		bpf_map_update_elem(&dns_streams, &key, &fresh, BPF_ANY);
	else if ((__s32)(pkt->acknowledged - stream->next_sequence) > 0)
		stream->next_sequence = pkt->acknowledged;
	for (int i = 0; i < MAX_SEGMENT_QUERIES; i++) {
		__u16 length_be;
		__u32 length;
		int verdict;

		if (n == 0)
			return QUERY_PASS;
		if (n < 2 || bpf_skb_load_bytes(skb, offset, &length_be, 2))
			break;
		length = bpf_ntohs(length_be);
		if (length > n - 2)
			break;
		verdict = take_query(skb, s->area, offset + 2, length, policy_flags);
		if (verdict != QUERY_PASS)
			return verdict;
		offset += 2 + length;
		n -= 2 + length;
	}
	return n ? unreadable_query(s, policy_flags) : QUERY_PASS;
}

#endif
