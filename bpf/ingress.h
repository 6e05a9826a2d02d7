/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Packets that arrive: answers teach, and who calls from outside is remembered. Never a verdict. */
#ifndef L7EGG_INGRESS_H
#define L7EGG_INGRESS_H

#include "egress.h"

#define TCP_LISTEN_STATE 10
#define TCP_SYN_SENT_STATE 2
#define LOOPBACK_IFINDEX 1 /* of lo, in every network namespace */

static __always_inline int is_own_address(const struct addr *addr)
{
	return is_loopback(addr) || bpf_map_lookup_elem(&own_addresses, addr);
}

static __always_inline void set_tuple(struct bpf_sock_tuple *tuple, struct packet *pkt)
{
	if (pkt->family == 4) {
		tuple->ipv4.saddr = pkt->source.words_be[3];
		tuple->ipv4.daddr = pkt->destination.words_be[3];
		tuple->ipv4.sport = pkt->source_port_be;
		tuple->ipv4.dport = pkt->destination_port_be;
	} else {
		__builtin_memcpy(tuple->ipv6.saddr, &pkt->source, 16);
		__builtin_memcpy(tuple->ipv6.daddr, &pkt->destination, 16);
		tuple->ipv6.sport = pkt->source_port_be;
		tuple->ipv6.dport = pkt->destination_port_be;
	}
}

/* A socket of this host that is calling the very peer: a simultaneous open is no inbound flow. */
static __always_inline int is_calling_back(struct __sk_buff *skb, struct packet *pkt)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = pkt->family == 4 ? sizeof(tuple.ipv4) : sizeof(tuple.ipv6);
	struct bpf_sock *sk;
	int calling;

	set_tuple(&tuple, pkt);
	sk = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	calling = sk->state == TCP_SYN_SENT_STATE;
	bpf_sk_release(sk);
	return calling;
}

/* A local UDP socket that takes this packet, and is not connected: a server. */
static __always_inline int is_udp_service(struct __sk_buff *skb, struct packet *pkt)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = pkt->family == 4 ? sizeof(tuple.ipv4) : sizeof(tuple.ipv6);
	struct bpf_sock *sk;
	int bound;

	set_tuple(&tuple, pkt);
	sk = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	bound = sk->dst_port == 0;
	bpf_sk_release(sk);
	return bound;
}

static __always_inline void enter_inbound(void *map, struct flow_key *key)
{
	struct inbound entry = { .seen_ns = bpf_ktime_get_coarse_ns() };

	if (bpf_map_update_elem(map, key, &entry, BPF_ANY))
		count(COUNT_MAP_FULL);
}

static __always_inline void refresh_inbound(struct inbound *entry)
{
	__u64 now = bpf_ktime_get_coarse_ns();

	if (age_ns(entry->seen_ns, now) > REFRESH_NS)
		entry->seen_ns = now;
}

/* Whether the owner takes new calls on the local port of the scratch packet (TCP, UDP). */
static __always_inline int takes_calls(struct scratch *s)
{
	__u32 flags = policy_flags(s->slot, s->policy);

	if (flags & POLICY_NO_INBOUND)
		return 0;
	return !(flags & POLICY_LIMIT_INBOUND) || rule_covers(s->area, INBOUND_RULES + s->policy);
}

/* An answer counts when this interface asked by broadcast a moment ago. */
static __always_inline void note_dhcp_server(struct __sk_buff *skb, struct packet *pkt)
{
	struct dhcp_key key = { .ifindex = skb->ifindex };
	__u64 now = bpf_ktime_get_coarse_ns(), *asked;

	set_ipv4(&key.server, 0xffffffff);
	asked = bpf_map_lookup_elem(&dhcp_servers, &key);
	if (!asked || age_ns(*asked, now) > DHCP_ANSWER_NS)
		return;
	copy_addr(&key.server, &pkt->source);
	bpf_map_update_elem(&dhcp_servers, &key, &now, BPF_ANY);
}

/* Remembers who calls from outside, so that replies pass. */
__noinline int track_inbound(struct __sk_buff *skb, __u32 area, __u32 policy)
{
	struct scratch *s = get_scratch(area);
	struct inbound *entry;
	struct flow_key key;
	struct packet *pkt;

	if (!s || s->pkt.is_later_fragment)
		return 0;
	pkt = &s->pkt;
	set_reverse_key(&key, pkt, policy);
	if (pkt->l4_proto == IPPROTO_TCP) {
		__u8 flags = pkt->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST);

		if (flags == TCP_SYN) {
			if (takes_calls(s) && !is_calling_back(skb, pkt))
				enter_inbound(&inbound_new, &key);
		} else if (flags == TCP_ACK && bpf_map_lookup_elem(&inbound_new, &key)) {
			/* The handshake came back: a spoofed flood does not get here. */
			enter_inbound(&inbound, &key);
			bpf_map_delete_elem(&inbound_new, &key);
		}
		return 0;
	}
	if (pkt->l4_proto == IPPROTO_UDP) {
		entry = bpf_map_lookup_elem(&inbound_new, &key);
		if (entry) {
			refresh_inbound(entry);
			return 0;
		}
		if (pkt->family == 4 && pkt->source_port_be == bpf_htons(67) &&
		    pkt->destination_port_be == bpf_htons(68)) {
			note_dhcp_server(skb, pkt);
			return 0;
		}
		/* An answer to a flow of our own opens nothing. */
		if (bpf_map_lookup_elem(&flows, &key))
			return 0;
		if (takes_calls(s) && is_udp_service(skb, pkt))
			enter_inbound(&inbound_new, &key);
		return 0;
	}
	if ((pkt->l4_proto == IPPROTO_ICMP && pkt->icmp_type == ICMP_ECHO) ||
	    (pkt->l4_proto == IPPROTO_ICMPV6 && pkt->icmp_type == ICMPV6_ECHO_REQUEST)) {
		entry = bpf_map_lookup_elem(&inbound_new, &key);
		if (entry)
			refresh_inbound(entry);
		else
			enter_inbound(&inbound_new, &key);
	}
	return 0;
}

/* Nobody else's address sends by lo: what comes by it from a resolver on the wire, a packet socket put there. Of
 * loopback and own addresses of IPv4 the kernel takes only what sockets sent (martians); of IPv6 it takes any, so
 * there a resolver on this host can be forged by who has CAP_NET_RAW.
 */
static __always_inline int is_forged_on_loopback(struct __sk_buff *skb, struct packet *pkt)
{
	return skb->ifindex == LOOPBACK_IFINDEX && !is_own_address(&pkt->source);
}

/* The scratch packet came in. */
static __always_inline int take_arrival(struct __sk_buff *skb, struct scratch *s, struct control *c,
					int learns, int tracks)
{
	/* What goes to a resolver's DNS port is judged as a query: its packets open nothing. */
	if (learns && s->asks_home && !s->pkt.is_later_fragment &&
	    (s->pkt.l4_proto == IPPROTO_UDP || s->pkt.l4_proto == IPPROTO_TCP) &&
	    is_resolver(&c->slots[s->slot & 1], &s->pkt.source, s->pkt.source_port_be, s->policy)) {
		if (is_forged_on_loopback(skb, &s->pkt))
			count(COUNT_UNBOUND);
		else
			handle_answer(skb, s->area);
	} else if (tracks)
		track_inbound(skb, s->area, s->policy);
	return PASS;
}

static __always_inline int arrive(struct __sk_buff *skb, __u32 policy, int learns, int tracks,
				  int with_l2)
{
	struct scratch *s = get_scratch(PACKET_SCRATCH);
	struct control *c = get_control();

	if (!c || !s)
		return PASS;
	begin(s, c, policy);
	if (parse_packet(skb, s->area, with_l2) != PARSED_OK)
		return PASS;
	return take_arrival(skb, s, c, learns, tracks);
}

#endif
