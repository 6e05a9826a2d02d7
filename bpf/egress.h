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

static __always_inline struct policy *find_policy(__u32 slot, __u32 policy)
{
	void *inner = policy_map(&policies, slot);

	return inner ? bpf_map_lookup_elem(inner, &policy) : NULL;
}

static __always_inline __u32 policy_flags(__u32 slot, __u32 policy)
{
	struct policy *found = find_policy(slot, policy);

	return found ? found->flags : 0;
}

static __always_inline void count_refusal(__u32 rule)
{
	struct rule_state *state = bpf_map_lookup_elem(&rule_states, &rule);

	if (state)
		__sync_fetch_and_add(&state->refused, 1);
}

/* Tells that the scratch packet is refused, of the socket and the interface noted there. 0 = under audit, so it
 * passes.
 */
static __always_inline int tell_denial(struct scratch *s)
{
	if (policy_flags(s->slot, s->policy) & POLICY_AUDIT) {
		s->result.verdict = VERDICT_WOULD_DENY;
		tell_flow(s->area);
		return 0;
	}
	s->result.verdict = VERDICT_DENY;
	tell_flow(s->area);
	count_refusal(s->result.rule);
	return 1;
}

/* rcode: of the answer that we will give by ourselves; 0 = none. */
static __always_inline void tell_query(struct __sk_buff *skb, struct scratch *s, __u32 verdict,
				       __u32 rcode)
{
	start_dns_event(skb, s, 0, verdict, s->result.reason, 0);
	s->event.head.rule = s->result.rule;
	s->event.head.rcode = rcode;
	send_dns_event(s, 0);
}

/* The scratch packet goes to a trusted resolver's DNS port: judged by the name in it, every time. An enum
 * query_verdict; what does not pass has been told.
 */
__noinline int judge_query(struct __sk_buff *skb, __u32 area)
{
	struct scratch *s = get_scratch(area);
	int verdict, is_answered;
	__u32 flags;

	if (!s)
		return QUERY_DROP;
	flags = policy_flags(s->slot, s->policy);
	verdict = handle_query(skb, s->area, flags);
	if (verdict == QUERY_PASS)
		return QUERY_PASS;
	if (flags & POLICY_AUDIT) {
		/* Its answer names what is reported next. */
		if (verdict == QUERY_REFUSE) {
			s->n_rules = 0;
			remember_query(s, &observed_queries);
		}
		tell_query(skb, s, VERDICT_WOULD_DENY, 0);
		return QUERY_PASS;
	}
	/* In tc it is answered, see answer_query; a cgroup's hook can only drop it. */
	count_refusal(s->result.rule);
	is_answered = verdict == QUERY_REFUSE && s->area == PACKET_SCRATCH && !is_tcp(&s->pkt);
	tell_query(skb, s, VERDICT_DENY, is_answered ? DNS_NXDOMAIN : 0);
	return verdict;
}

static __always_inline void allow_flow(struct __sk_buff *skb, struct scratch *s)
{
	__u32 rule = s->result.rule, flags = 0;
	struct rule_state *state;
	int kept = NOT_KEPT;

	note_sender(skb, s);
	if (is_tcp(&s->pkt))
		kept = keep_with_socket(skb, s->area, 0);
	/* A first packet that is sent again, or that another hook has judged as well: told, and counted. */
	if (kept == KEPT_BEFORE)
		return;
	if (kept == KEPT_NOW)
		flags = FLOW_OF_SOCKET;
	state = bpf_map_lookup_elem(&rule_states, &rule);
	if (state)
		__sync_fetch_and_add(&state->allowed, 1);
	keep_flow(skb, s, flags);
	if (is_tcp(&s->pkt) && !is_first_tcp(&s->pkt) && s->result.verdict == VERDICT_ALLOW)
		s->result.reason = REASON_ESTABLISHED;
	tell_flow(s->area);
}

/* Reads control once and puts what the packet is judged by into the scratch area. */
static __always_inline void begin(struct scratch *s, struct control *c, __u32 policy)
{
	__u32 slot = c->active & 1;

	s->slot = slot;
	s->epoch = c->slots[slot].epoch;
	s->policy = policy;
	s->asks_home = 1;
	s->boot_ns = 0;
	s->boot_seconds = 0;
	s->result.rule = 0;
	s->result.reason = REASON_NONE;
}

static __always_inline void note_unparsed(struct scratch *s, int parsed)
{
	s->result.reason = parsed == PARSED_ETHERTYPE ? REASON_ETHERTYPE :
			   parsed == PARSED_MAPPED    ? REASON_MAPPED :
							REASON_UNREADABLE;
	s->pkt.is_later_fragment = 1; /* no answer can be built from it */
}

/* What the socket of a TCP packet knows, before anything else is looked at. 1 = passes. */
static __always_inline int passes_by_socket(struct __sk_buff *skb, struct scratch *s, int socket)
{
	if (socket == SOCKET_ENDING)
		is_known_flow(skb, s->area); /* notes the end where the map has it */
	return socket == SOCKET_FLOW || socket == SOCKET_ENDING;
}

static __always_inline int goes_to_resolver(struct scratch *s, struct control *c)
{
	struct packet *pkt = &s->pkt;

	return s->asks_home && !pkt->is_later_fragment &&
	       (pkt->l4_proto == IPPROTO_UDP || is_tcp(pkt)) &&
	       is_resolver(&c->slots[s->slot & 1], &pkt->destination, pkt->destination_port_be,
			   s->policy);
}

/* The rest of the order, for what is neither link upkeep nor a query. 1 = passes; else s->result says why not. */
static __always_inline int judge_packet(struct __sk_buff *skb, struct scratch *s, int socket)
{
	struct packet *pkt = &s->pkt;

	if (pkt->is_later_fragment) {
		if (is_passed_fragment(pkt, s->policy))
			return 1;
		s->result.reason = REASON_FRAGMENT;
		return 0;
	}
	if (is_first_tcp(pkt)) {
		judge_rules(s->area);
	} else if (is_known_flow(skb, s->area)) {
		if (pkt->is_fragment)
			admit_fragments(pkt, s->policy);
		else if (socket == SOCKET_OTHER)
			keep_with_socket(skb, s->area, 0);
		return 1;
	} else if (is_inbound_reply(skb, s->area)) {
		if (pkt->is_fragment)
			admit_fragments(pkt, s->policy);
		else if (socket == SOCKET_OTHER)
			keep_with_socket(skb, s->area, 1);
		return 1;
	} else if (is_error_of_flow(skb, s->area)) {
		if (pkt->is_fragment)
			admit_fragments(pkt, s->policy);
		return 1;
	} else {
		__u16 withdrawn = s->result.reason;
		__u32 old_rule = s->result.rule;

		judge_rules(s->area);
		if (s->result.verdict == VERDICT_DENY && withdrawn) {
			s->result.reason = withdrawn;
			s->result.rule = old_rule;
		}
	}
	if (s->result.verdict == VERDICT_DENY)
		return 0;
	if (pkt->is_fragment)
		admit_fragments(pkt, s->policy);
	allow_flow(skb, s);
	return 1;
}

/* Drops the scratch packet with an answer, or under audit lets it pass. */
__noinline int deny(struct __sk_buff *skb, __u32 area, __u32 with_l2)
{
	struct scratch *s = get_scratch(area);
	if (!s)
		return TC_ACT_SHOT;
	note_sender(skb, s);
	return tell_denial(s) ? refuse(skb, s->area, with_l2) : PASS;
}

/* A query that was judged, as tc answers it. */
__noinline int answer_query(struct __sk_buff *skb, __u32 area, __u32 with_l2, __u32 verdict)
{
	struct scratch *s = get_scratch(area);
	if (!s)
		return TC_ACT_SHOT;
	if (verdict == QUERY_PASS)
		return PASS;
	if (verdict == QUERY_REFUSE && s->pkt.l4_proto == IPPROTO_UDP) {
		/* Our own answer finds a query that teaches nothing. */
		s->n_rules = 0;
		remember_query(s, &pending_queries);
		count(COUNT_REFUSED);
		if (answer_nxdomain(skb, s->area, with_l2))
			return TC_ACT_SHOT;
		return send_up(skb);
	}
	return is_tcp(&s->pkt) ? reset_both_ends(skb, s->area, with_l2) : refuse(skb, s->area, with_l2);
}

/* The policy of the cgroup that the socket is of, 0 when it has none of its own. */
static __always_inline __u32 find_subject(struct __sk_buff *skb, struct scratch *s,
					  struct control *c)
{
	__u32 *policy;

	for (int i = 0; i < MAX_LEVELS; i++) {
		__u64 id;

		if (!c->subject_levels[i])
			break;
		id = bpf_skb_ancestor_cgroup_id(skb, c->subject_levels[i]);
		if (!id)
			continue;
		policy = bpf_map_lookup_elem(&subject_cgroups, &id);
		if (policy && find_policy(s->slot, *policy))
			return *policy;
	}
	return 0;
}

/* linux/socket.h */
#define AF_INET 2
#define AF_INET6 10

/* The hooks of cgroups see what sockets of IP send, and nothing of packet sockets. */
static __always_inline int has_cgroup_hooks(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk && (sk->family == AF_INET || sk->family == AF_INET6);
}

static __always_inline int egress_verdict(struct __sk_buff *skb, __u32 policy, int with_l2)
{
	struct scratch *s = get_scratch(PACKET_SCRATCH);
	struct control *c = get_control();
	int parsed, verdict, socket, to_resolver;
	__u32 subject;

	if (!c || !s) /* fail closed: without control there is no policy */
		return TC_ACT_SHOT;
	begin(s, c, policy);
	subject = c->subject_levels[0] ? find_subject(skb, s, c) : 0;
	if (subject) {
		/* Those hooks are there before the policy is, and still after it. What was between them and here when the
		 * policy came, or waited for its neighbour's address, was judged by neither.
		 */
		if (has_cgroup_hooks(skb) && bpf_ktime_get_coarse_ns() >= c->unjudged_until_ns)
			return PASS;
		/* Of the slot that was read above: another one may not have the subject. */
		policy = subject;
		s->policy = subject;
	}
	parsed = parse_packet(skb, s->area, with_l2);
	if (parsed == PARSED_ARP)
		return PASS;
	if (parsed != PARSED_OK) {
		note_unparsed(s, parsed);
		return deny(skb, s->area, with_l2);
	}
	set_flow_key(&s->key, &s->pkt, policy);
	to_resolver = goes_to_resolver(s, c);
	/* Names are judged in every packet, also of a connection from before its other end was trusted. */
	socket = to_resolver ? SOCKET_NONE : match_socket(skb, s);
	if (passes_by_socket(skb, s, socket) || is_link_upkeep(skb, s))
		return PASS;
	if (to_resolver) {
		verdict = answer_query(skb, s->area, with_l2, judge_query(skb, s->area));
		if (verdict == PASS && s->pkt.is_fragment)
			admit_fragments(&s->pkt, policy);
		return verdict;
	}
	return judge_packet(skb, s, socket) ? PASS : deny(skb, s->area, with_l2);
}

/* Queries only: an interface that learns but is not enforced. */
static __always_inline int egress_track(struct __sk_buff *skb, __u32 policy, int with_l2)
{
	struct scratch *s = get_scratch(PACKET_SCRATCH);
	struct control *c = get_control();

	if (!c || !s)
		return PASS;
	begin(s, c, policy);
	if (parse_packet(skb, s->area, with_l2) != PARSED_OK || s->pkt.is_fragment)
		return PASS;
	if (goes_to_resolver(s, c))
		handle_query(skb, s->area, 0);
	return PASS;
}

#endif
