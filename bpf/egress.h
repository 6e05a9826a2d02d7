/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The verdict of a packet that leaves, in the order of the design. */
#ifndef L7EGG_EGRESS_H
#define L7EGG_EGRESS_H

#include "query.h"
#include "refuse.h"

#define PASS TC_ACT_UNSPEC /* others behind us still run */

#define NEIGHBOUR_HOP_LIMIT 255 /* RFC 4861 7.1: cannot have been routed */
#define ICMPV6_ROUTER_SOLICITATION 133
#define ICMPV6_NEIGHBOUR_SOLICITATION 135
#define ICMPV6_NEIGHBOUR_ADVERTISEMENT 136
#define ICMPV6_MLD2_REPORT 143

static __always_inline int is_link_local(const struct addr *addr)
{
	return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

static __always_inline int is_on_link(struct __sk_buff *skb, const struct addr *addr)
{
	struct onlink_key key = { .prefix_bits = 32 + 128, .ifindex = skb->ifindex };

	copy_addr(&key.addr, addr);
	return bpf_map_lookup_elem(&onlink, &key) != NULL;
}

/* What a host must be able to say for the link itself to work, and nothing wider. */
static __always_inline int is_link_upkeep(struct __sk_buff *skb, struct scratch *s)
{
	struct packet *pkt = &s->pkt;
	const struct addr *to = &pkt->destination;

	if (pkt->is_fragment)
		return 0;
	if (pkt->l4_proto == IPPROTO_ICMPV6 && pkt->family == 6) {
		switch (pkt->icmp_type) {
		case ICMPV6_ROUTER_SOLICITATION:
		case ICMPV6_NEIGHBOUR_SOLICITATION:
		case ICMPV6_NEIGHBOUR_ADVERTISEMENT:
			return pkt->hop_limit == NEIGHBOUR_HOP_LIMIT &&
			       (is_link_local(to) || to->bytes[0] == 0xff || is_on_link(skb, to));
		case ICMPV6_MGM_REPORT:
		case ICMPV6_MGM_REDUCTION:
		case ICMPV6_MLD2_REPORT: /* RFC 3810 5: link-local scope, hop limit 1 */
			return pkt->hop_limit == 1 && to->bytes[0] == 0xff;
		}
		return 0;
	}
	if (pkt->l4_proto != IPPROTO_UDP)
		return 0;
	if (pkt->family == 4 && pkt->source_port_be == bpf_htons(68) &&
	    pkt->destination_port_be == bpf_htons(67)) {
		struct dhcp_key key = { .ifindex = skb->ifindex };
		__u64 *answered, now;

		copy_addr(&key.server, to);
		if (to->words_be[3] == 0xffffffff) {
			/* Whoever answers in the next seconds is the server. */
			now = bpf_ktime_get_coarse_ns();
			bpf_map_update_elem(&dhcp_servers, &key, &now, BPF_ANY);
			return 1;
		}
		answered = bpf_map_lookup_elem(&dhcp_servers, &key);
		return answered &&
		       age_ns(*answered, bpf_ktime_get_coarse_ns()) < DHCP_LIFE_NS;
	}
	/* ff02::1:2, all DHCP relay agents and servers, RFC 8415 7.1 */
	return pkt->family == 6 && pkt->source_port_be == bpf_htons(546) &&
	       pkt->destination_port_be == bpf_htons(547) &&
	       to->halves_be[0] == bpf_cpu_to_be64(0xff02000000000000ULL) &&
	       to->halves_be[1] == bpf_cpu_to_be64(0x10002);
}

static __always_inline __u32 policy_flags(__u32 slot, __u32 policy)
{
	void *inner = policy_map(&policies, slot);
	struct policy *found = inner ? bpf_map_lookup_elem(inner, &policy) : NULL;

	return found ? found->flags : 0;
}

/* Drops the scratch packet, or under audit says that it would have. */
__noinline int deny(struct __sk_buff *skb, __u32 with_l2)
{
	struct scratch *s = get_scratch();
	struct rule_state *state;
	__u32 rule;

	if (!s)
		return TC_ACT_SHOT;
	if (policy_flags(s->slot, s->policy) & POLICY_AUDIT) {
		s->result.verdict = VERDICT_WOULD_DENY;
		tell_flow(skb);
		return PASS;
	}
	s->result.verdict = VERDICT_DENY;
	tell_flow(skb);
	rule = s->result.rule;
	state = bpf_map_lookup_elem(&rule_states, &rule);
	if (state)
		__sync_fetch_and_add(&state->refused, 1);
	return refuse(skb, with_l2);
}

static __always_inline void tell_query(struct __sk_buff *skb, struct scratch *s, __u32 verdict)
{
	start_dns_event(skb, s, 0, verdict, s->result.reason, 0);
	s->event.head.rule = s->result.rule;
	send_dns_event(s, 0);
}

/* The scratch packet goes to a trusted resolver's DNS port: judged by the name in it, every time. */
__noinline int judge_query(struct __sk_buff *skb, __u32 with_l2)
{
	struct scratch *s = get_scratch();
	__u32 flags;
	int verdict;

	if (!s)
		return TC_ACT_SHOT;
	flags = policy_flags(s->slot, s->policy);
	verdict = handle_query(skb, flags);
	if (verdict == QUERY_PASS)
		return PASS;
	if (flags & POLICY_AUDIT) {
		tell_query(skb, s, VERDICT_WOULD_DENY);
		return PASS;
	}
	tell_query(skb, s, VERDICT_DENY);
	if (verdict == QUERY_REFUSE && s->pkt.l4_proto == IPPROTO_UDP) {
		/* Our own answer finds a query that teaches nothing. */
		s->n_rules = 0;
		remember_query(s, &pending_queries);
		count(COUNT_REFUSED);
		if (answer_nxdomain(skb, with_l2))
			return TC_ACT_SHOT;
		return send_up(skb);
	}
	return is_tcp(&s->pkt) ? reset_both_ends(skb, with_l2) : refuse(skb, with_l2);
}

static __always_inline int allow_flow(struct __sk_buff *skb, struct scratch *s)
{
	__u32 rule = s->result.rule;
	struct rule_state *state = bpf_map_lookup_elem(&rule_states, &rule);

	if (state)
		__sync_fetch_and_add(&state->allowed, 1);
	keep_flow(&s->key, rule, s->epoch);
	if (is_tcp(&s->pkt))
		keep_with_socket(skb, 0);
	if (is_tcp(&s->pkt) && !is_first_tcp(&s->pkt) && s->result.verdict == VERDICT_ALLOW)
		s->result.reason = REASON_ESTABLISHED;
	tell_flow(skb);
	return PASS;
}

/* Reads control once and puts what the packet is judged by into the scratch area. */
static __always_inline struct scratch *begin(struct control *c, __u32 policy)
{
	struct scratch *s = get_scratch();
	__u32 slot;

	if (!s)
		return NULL;
	slot = c->active & 1;
	s->slot = slot;
	s->epoch = c->slots[slot].epoch;
	s->policy = policy;
	s->boot_ns = 0;
	s->boot_seconds = 0;
	return s;
}

static __always_inline int egress_verdict(struct __sk_buff *skb, __u32 policy, int with_l2)
{
	struct control *c = get_control();
	struct scratch *s;
	struct packet *pkt;
	int parsed, verdict, socket, to_resolver;

	if (!c) /* fail closed: without control there is no policy */
		return TC_ACT_SHOT;
	s = begin(c, policy);
	if (!s)
		return TC_ACT_SHOT;
	pkt = &s->pkt;
	s->result.rule = 0;
	s->result.reason = REASON_NONE;
	parsed = parse_packet(skb, with_l2);
	if (parsed == PARSED_ARP)
		return PASS;
	if (parsed != PARSED_OK) {
		s->result.reason = parsed == PARSED_ETHERTYPE ? REASON_ETHERTYPE :
				   parsed == PARSED_MAPPED    ? REASON_MAPPED :
								REASON_UNREADABLE;
		pkt->is_later_fragment = 1; /* no answer can be built from it */
		return deny(skb, with_l2);
	}
	set_flow_key(&s->key, pkt, policy);
	to_resolver = !pkt->is_later_fragment && (pkt->l4_proto == IPPROTO_UDP || is_tcp(pkt)) &&
		      is_resolver(&c->slots[s->slot & 1], &pkt->destination,
				  pkt->destination_port_be, policy);
	/* Names are judged in every packet, also of a connection from before its other end was trusted. */
	socket = to_resolver ? SOCKET_NONE : match_socket(skb, s);
	if (socket == SOCKET_FLOW)
		return PASS;
	if (socket == SOCKET_ENDING) {
		is_known_flow(); /* notes the end where the map has it */
		return PASS;
	}
	if (is_link_upkeep(skb, s))
		return PASS;
	if (to_resolver) {
		verdict = judge_query(skb, with_l2);
		if (verdict == PASS && pkt->is_fragment)
			admit_fragments(pkt, policy);
		return verdict;
	}
	if (pkt->is_later_fragment) {
		if (is_passed_fragment(pkt, policy))
			return PASS;
		s->result.reason = REASON_FRAGMENT;
		return deny(skb, with_l2);
	}
	if (is_first_tcp(pkt)) {
		judge_rules();
	} else if (is_known_flow()) {
		if (pkt->is_fragment)
			admit_fragments(pkt, policy);
		else if (socket == SOCKET_OTHER)
			keep_with_socket(skb, 0);
		return PASS;
	} else if (is_inbound_reply(skb)) {
		if (pkt->is_fragment)
			admit_fragments(pkt, policy);
		else if (socket == SOCKET_OTHER)
			keep_with_socket(skb, 1);
		return PASS;
	} else if (is_error_of_flow(skb)) {
		if (pkt->is_fragment)
			admit_fragments(pkt, policy);
		return PASS;
	} else {
		__u16 withdrawn = s->result.reason;
		__u32 old_rule = s->result.rule;

		judge_rules();
		if (s->result.verdict == VERDICT_DENY && withdrawn) {
			s->result.reason = withdrawn;
			s->result.rule = old_rule;
		}
	}
	if (s->result.verdict == VERDICT_DENY)
		return deny(skb, with_l2);
	if (pkt->is_fragment)
		admit_fragments(pkt, policy);
	return allow_flow(skb, s);
}

/* Queries only: an interface that learns but is not enforced. */
static __always_inline int egress_track(struct __sk_buff *skb, __u32 policy, int with_l2)
{
	struct control *c = get_control();
	struct scratch *s = c ? begin(c, policy) : NULL;

	if (!s || parse_packet(skb, with_l2) != PARSED_OK || s->pkt.is_fragment ||
	    (s->pkt.l4_proto != IPPROTO_UDP && !is_tcp(&s->pkt)))
		return PASS;
	if (is_resolver(&c->slots[s->slot & 1], &s->pkt.destination, s->pkt.destination_port_be,
			policy))
		handle_query(skb, 0);
	return PASS;
}

#endif
