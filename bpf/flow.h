/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Flows: what was judged once and goes on, outbound and inbound. */
#ifndef L7EGG_FLOW_H
#define L7EGG_FLOW_H

#include "ends.h"
#include "judge.h"

#define UDP_IDLE_NS 60000000000ULL
#define FIN_IDLE_NS 120000000000ULL
#define DHCP_LIFE_NS 86400000000000ULL
#define DHCP_ANSWER_NS 30000000000ULL
#define FRAGMENT_LIFE_NS 30000000000ULL
#define REFRESH_NS 1000000000ULL /* how stale seen_ns may get, so that hits seldom write */

static __always_inline void set_flow_key(struct flow_key *key, struct packet *pkt, __u32 policy)
{
	__builtin_memset(key, 0, sizeof(*key));
	copy_addr(&key->local, &pkt->source);
	copy_addr(&key->remote, &pkt->destination);
	key->local_port_be = pkt->source_port_be;
	key->remote_port_be = pkt->destination_port_be;
	key->policy = policy;
	key->l4_proto = pkt->l4_proto;
	/* A flow is of one type of ICMP, for a rule may name one. */
	if (pkt->l4_proto == IPPROTO_ICMP || pkt->l4_proto == IPPROTO_ICMPV6)
		key->remote_port_be = bpf_htons(pkt->icmp_type);
}

/* The key under which the other end's packets of the same flow were entered. */
static __always_inline void set_reverse_key(struct flow_key *key, struct packet *pkt, __u32 policy)
{
	__builtin_memset(key, 0, sizeof(*key));
	copy_addr(&key->local, &pkt->destination);
	copy_addr(&key->remote, &pkt->source);
	key->local_port_be = pkt->destination_port_be;
	key->remote_port_be = pkt->source_port_be;
	key->policy = policy;
	key->l4_proto = pkt->l4_proto;
	/* The identifier of an echo is the local port of its flow on both ways; what goes back is of the replies' type. */
	if (pkt->l4_proto == IPPROTO_ICMP || pkt->l4_proto == IPPROTO_ICMPV6) {
		key->local_port_be = pkt->source_port_be;
		key->remote_port_be = bpf_htons(pkt->l4_proto == IPPROTO_ICMP ? ICMP_ECHOREPLY :
										ICMPV6_ECHO_REPLY);
	}
}

static __always_inline int is_first_tcp(struct packet *pkt)
{
	return pkt->l4_proto == IPPROTO_TCP &&
	       (pkt->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

static __always_inline int is_tcp(struct packet *pkt)
{
	return pkt->l4_proto == IPPROTO_TCP;
}

/* Whether the scratch packet is a reply: somebody outside began its flow. */
__noinline int is_inbound_reply(struct __sk_buff *skb, __u32 area)
{
	struct scratch *s = get_scratch(area);
	__u32 arrived_on = skb->ingress_ifindex;
	struct inbound *found;
	struct flow_key *key;
	struct packet *pkt;
	__u64 now;

	if (!s)
		return 0;
	pkt = &s->pkt;
	key = &s->key;
	if (is_first_tcp(pkt))
		return 0;
	/* A packet that came in from an enforced interface answers nobody's call to this host. */
	if (arrived_on && bpf_map_lookup_elem(&enforced, &arrived_on))
		return 0;
	if (is_tcp(pkt)) {
		found = bpf_map_lookup_elem(&inbound, key);
		if (found) {
			if (pkt->tcp_flags & TCP_RST)
				bpf_map_delete_elem(&inbound, key);
			return 1;
		}
		return bpf_map_lookup_elem(&inbound_new, key) != NULL;
	}
	if (pkt->l4_proto == IPPROTO_ICMP && pkt->icmp_type != ICMP_ECHOREPLY)
		return 0;
	if (pkt->l4_proto == IPPROTO_ICMPV6 && pkt->icmp_type != ICMPV6_ECHO_REPLY)
		return 0;
	found = bpf_map_lookup_elem(&inbound_new, key);
	if (!found)
		return 0;
	now = bpf_ktime_get_coarse_ns();
	if (age_ns(found->seen_ns, now) > UDP_IDLE_NS)
		return 0;
	if (age_ns(found->seen_ns, now) > REFRESH_NS)
		found->seen_ns = now;
	return 1;
}

/* The rule of a flow still stands in the active slot, and no deny was put before it. */
__noinline int is_still_allowed(__u32 area, __u32 rule_id)
{
	struct scratch *s = get_scratch(area);
	struct addr_rules *found;

	if (!s || !rule_covers(s->area, rule_id))
		return 0;
	found = find_prefix(s->slot, s->policy, &s->pkt.destination);
	return !(found && found->deny_set && find_in_set(s->area, found->deny_set));
}

static __always_inline __u32 payload_bytes(struct packet *pkt)
{
	return pkt->l3_end - pkt->payload_offset;
}

#define ETHERNET_MTU 1500

/* The device cuts a large one into segments: where their number is noted costs as much as all else here. */
static __always_inline __u32 packets_in(struct __sk_buff *skb, __u32 bytes)
{
	__u32 segments = bytes > ETHERNET_MTU ? skb->gso_segs : 1;

	return segments ? segments : 1;
}

/* The scratch packet is of a flow that was allowed. Its rule is looked up again after each swap. */
__noinline int is_known_flow(struct __sk_buff *skb, __u32 area)
{
	struct scratch *s = get_scratch(area);
	struct flow_key *key;
	struct packet *pkt;
	__u32 rule, bytes;
	struct flow *flow;
	__u64 now;

	if (!s)
		return 0;
	pkt = &s->pkt;
	key = &s->key;
	flow = bpf_map_lookup_elem(&flows, key);
	if (!flow)
		return 0;
	rule = flow->rule;
	if (flow->epoch != s->epoch) {
		if (!is_still_allowed(s->area, flow->rule)) {
			s->result.reason = REASON_WITHDRAWN;
			s->result.rule = flow->rule;
			tell_flow_end(s->area);
			bpf_map_delete_elem(&flows, key);
			return 0;
		}
		flow->epoch = s->epoch;
	}
	if (!is_tcp(pkt) || flow->flags & FLOW_FIN) {
		__u64 idle = is_tcp(pkt) ? FIN_IDLE_NS : UDP_IDLE_NS;
		__u32 tick = bpf_jiffies64();

		/* The clock costs as much as a look-up, a tick nothing. */
		if (flow->checked_jiffies != tick) {
			now = bpf_ktime_get_coarse_ns();
			if (age_ns(flow->seen_ns, now) > idle) {
				tell_flow_end(s->area);
				bpf_map_delete_elem(&flows, key);
				return 0;
			}
			if (age_ns(flow->seen_ns, now) > REFRESH_NS)
				flow->seen_ns = now;
			flow->checked_jiffies = tick;
		}
	}
	/* Two CPUs that send of one flow at the very same time may count a packet less. */
	bytes = payload_bytes(pkt);
	flow->bytes += bytes;
	flow->packets += packets_in(skb, bytes);
	if (is_tcp(pkt)) {
		/* What it sends is all sent with its FIN. */
		if (pkt->tcp_flags & (TCP_RST | TCP_FIN) && !(flow->flags & FLOW_FIN))
			tell_flow_end(s->area);
		if (pkt->tcp_flags & TCP_RST) {
			bpf_map_delete_elem(&flows, key);
		} else if (pkt->tcp_flags & TCP_FIN && !(flow->flags & FLOW_FIN)) {
			flow->seen_ns = bpf_ktime_get_coarse_ns();
			flow->flags |= FLOW_FIN;
		}
	}
	s->result.rule = rule;
	return 1;
}

static __always_inline int is_same_flow(struct flow_key *a, struct flow_key *b)
{
	return same_addr(&a->remote, &b->remote) && same_addr(&a->local, &b->local) &&
	       *(__u32 *)&a->local_port_be == *(__u32 *)&b->local_port_be &&
	       *(__u32 *)&a->policy == *(__u32 *)&b->policy;
}

enum socket_match {
	SOCKET_NONE, /* the packet is of no TCP socket of this host, or begins a flow */
	SOCKET_OTHER, /* the socket keeps no verdict that goes for this packet */
	SOCKET_FLOW,
	SOCKET_ENDING, /* the same, and its flow ends */
};

/* The verdict kept with the socket: the fast path of local TCP. */
static __always_inline int match_socket(struct __sk_buff *skb, struct scratch *s)
{
	struct bpf_sock *sk = skb->sk;
	struct flow_key *key = &s->key;
	struct packet *pkt = &s->pkt;
	struct socket_flow *kept;

	if (!sk || !is_tcp(pkt) || pkt->is_fragment || pkt->tcp_flags & TCP_SYN)
		return SOCKET_NONE;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol != IPPROTO_TCP)
		return SOCKET_NONE;
	kept = bpf_sk_storage_get(&socket_flows, sk, NULL, 0);
	if (!kept)
		return SOCKET_OTHER;
	/* In full: the socket may have moved on to another peer since. */
	if (!is_same_flow(&kept->key, key))
		return SOCKET_OTHER;
	if (kept->inbound) /* needs no rule */
		return SOCKET_FLOW;
	/* After each swap the rule is looked up again. The map of flows may have forgotten it by now. */
	if (kept->epoch != s->epoch) {
		if (!is_still_allowed(s->area, kept->rule)) {
			s->result.reason = REASON_WITHDRAWN;
			s->result.rule = kept->rule;
			bpf_sk_storage_delete(&socket_flows, sk);
			return SOCKET_NONE;
		}
		kept->epoch = s->epoch;
	}
	return pkt->tcp_flags & (TCP_RST | TCP_FIN) ? SOCKET_ENDING : SOCKET_FLOW;
}

enum kept {
	NOT_KEPT, /* it has no TCP socket of this host */
	KEPT_NOW,
	KEPT_BEFORE, /* the same, by a packet before this one */
};

/* So that a local flow neither depends on the LRU maps nor pays for them. Answers whether the socket keeps it. */
__noinline int keep_with_socket(struct __sk_buff *skb, __u32 area, __u32 inbound)
{
	struct scratch *s = get_scratch(area);
	struct bpf_sock *sk = skb->sk;
	struct socket_flow *kept;

	if (!s || !sk)
		return NOT_KEPT;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol != IPPROTO_TCP)
		return NOT_KEPT;
	kept = bpf_sk_storage_get(&socket_flows, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		return NOT_KEPT;
	if (kept->epoch == s->epoch && kept->inbound == inbound && kept->rule == s->result.rule &&
	    is_same_flow(&kept->key, &s->key))
		return KEPT_BEFORE;
	kept->epoch = 0;
	kept->inbound = 0;
	kept->key = s->key;
	kept->inbound = inbound;
	kept->ifindex = s->asks_home ? skb->ifindex : 0;
	kept->rule = s->result.rule;
	kept->epoch = s->epoch;
	return KEPT_NOW;
}

/* The scratch packet, of the socket and the interface noted there, is the first of its flow. */
static __always_inline void keep_flow(struct __sk_buff *skb, struct scratch *s, __u32 flags)
{
	struct flow flow = { .seen_ns = bpf_ktime_get_coarse_ns(),
			     .rule = s->result.rule,
			     .epoch = s->epoch,
			     .flags = flags,
			     .bytes = payload_bytes(&s->pkt),
			     .packets = packets_in(skb, payload_bytes(&s->pkt)),
			     .socket_cookie = s->socket_cookie,
			     .ifindex = s->ifindex };

	if (bpf_map_update_elem(&flows, &s->key, &flow, BPF_ANY))
		count(COUNT_MAP_FULL);
}

/* A flow of the destination of the scratch packet that an error may speak of. After a swap, and until a
 * packet of its own was judged, one to a host with any deny rule is taken for ended.
 */
static __always_inline int is_live_flow(struct scratch *s, struct flow *flow, __u8 l4_proto)
{
	__u64 idle = l4_proto == IPPROTO_TCP ? FIN_IDLE_NS : UDP_IDLE_NS;
	struct addr_rules *found;

	if (flow->epoch != s->epoch) {
		found = find_prefix(s->slot, s->policy, &s->pkt.destination);
		if (!find_rule(s->slot, flow->rule) || (found && found->deny_set))
			return 0;
	}
	return (l4_proto == IPPROTO_TCP && !(flow->flags & FLOW_FIN)) ||
	       age_ns(flow->seen_ns, bpf_ktime_get_coarse_ns()) <= idle;
}

/* The packet an ICMP error quotes belongs to a live flow, and the error goes to its other end. */
__noinline int is_error_of_flow(struct __sk_buff *skb, __u32 area)
{
	struct scratch *s = get_scratch(area);
	struct flow_key key = {};
	struct packet *pkt;
	struct flow *flow;
	__u16 ports[2];
	__u32 quoted;

	if (!s)
		return 0;
	pkt = &s->pkt;
	if (pkt->l4_proto != IPPROTO_ICMP && pkt->l4_proto != IPPROTO_ICMPV6)
		return 0;
	key.policy = s->policy;
	quoted = pkt->l4_offset + 8;
	if (pkt->family == 4) {
		struct iphdr ip;

		if (pkt->icmp_type != ICMP_DEST_UNREACH && pkt->icmp_type != ICMP_TIME_EXCEEDED &&
		    pkt->icmp_type != ICMP_PARAMETERPROB)
			return 0;
		if (bpf_skb_load_bytes(skb, quoted, &ip, sizeof(ip)) || ip.version != 4)
			return 0;
		quoted += ip.ihl * 4;
		key.l4_proto = ip.protocol;
		set_ipv4(&key.local, ip.daddr);
		set_ipv4(&key.remote, ip.saddr);
	} else {
		struct ipv6hdr ip;

		if (pkt->icmp_type < ICMPV6_DEST_UNREACH || pkt->icmp_type > ICMPV6_PARAMPROB)
			return 0;
		if (bpf_skb_load_bytes(skb, quoted, &ip, sizeof(ip)) || ip.version != 6)
			return 0;
		quoted += sizeof(ip);
		key.l4_proto = ip.nexthdr;
		__builtin_memcpy(&key.local, &ip.daddr, 16);
		__builtin_memcpy(&key.remote, &ip.saddr, 16);
	}
	if (key.l4_proto != IPPROTO_TCP && key.l4_proto != IPPROTO_UDP)
		return 0;
	if (!same_addr(&key.remote, &pkt->destination) ||
	    quoted + sizeof(ports) > pkt->l3_end || /* padding of the frame quotes nothing */
	    bpf_skb_load_bytes(skb, quoted, ports, sizeof(ports)))
		return 0;
	key.remote_port_be = ports[0];
	key.local_port_be = ports[1];
	flow = bpf_map_lookup_elem(&flows, &key);
	if (flow && is_live_flow(s, flow, key.l4_proto))
		return 1;
	return bpf_map_lookup_elem(&inbound, &key) || bpf_map_lookup_elem(&inbound_new, &key);
}

static __always_inline void set_fragment_key(struct fragment_key *key, struct packet *pkt,
					     __u32 policy)
{
	__builtin_memset(key, 0, sizeof(*key));
	copy_addr(&key->local, &pkt->source);
	copy_addr(&key->remote, &pkt->destination);
	key->id = pkt->fragment_id;
	key->policy = policy;
	key->l4_proto = pkt->fragment_proto;
}

/* Later fragments have no ports: they pass when their first one did. */
static __always_inline int is_passed_fragment(struct packet *pkt, __u32 policy)
{
	struct fragment_key key;
	struct fragment *first;

	set_fragment_key(&key, pkt, policy);
	first = bpf_map_lookup_elem(&fragments, &key);
	return first && age_ns(first->seen_ns, bpf_ktime_get_coarse_ns()) < FRAGMENT_LIFE_NS;
}

static __always_inline void admit_fragments(struct packet *pkt, __u32 policy)
{
	struct fragment first = { .seen_ns = bpf_ktime_get_coarse_ns() };
	struct fragment_key key;

	set_fragment_key(&key, pkt, policy);
	if (bpf_map_update_elem(&fragments, &key, &first, BPF_ANY))
		count(COUNT_MAP_FULL);
}

#endif
