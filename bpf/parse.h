/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Parses a packet into the scratch area. Packet sockets may leave only the Ethernet header in linear memory: what
 * does not lie there is copied, and what can't be read is refused, never passed.
 */
#ifndef L7EGG_PARSE_H
#define L7EGG_PARSE_H

#include "scratch.h"

#define MAX_LINEAR 512 /* headers begin before that; the verifier wants a bound */

/* Where n bytes of the packet lie in memory; NULL where they do not lie in one piece, and are to be
 * copied by bpf_skb_load_bytes: a packet socket may leave only the link-layer header in front.
 */
static __always_inline void *linear(struct __sk_buff *skb, __u32 at, __u32 n)
{
	void *start = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	opaque(at);
	if (at > MAX_LINEAR)
		return NULL;
	start += at;
	return start + n <= end ? start : NULL;
}

static __always_inline int parse_ethernet(struct __sk_buff *skb, struct packet *pkt)
{
	struct ethhdr *ethernet = linear(skb, 0, sizeof(*ethernet));
	__u16 ether_type_be;
	__u32 offset = ETH_HLEN;
	int tags = skb->vlan_present ? 1 : 0;

	/* Not skb->protocol: a packet socket may say there what it likes. */
	if (ethernet)
		ether_type_be = ethernet->h_proto;
	else if (bpf_skb_load_bytes(skb, offsetof(struct ethhdr, h_proto), &ether_type_be, 2))
		return PARSED_UNREADABLE;
#pragma unroll
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		if (ether_type_be != bpf_htons(ETH_P_8021Q) &&
		    ether_type_be != bpf_htons(ETH_P_8021AD))
			break;
		if (++tags > MAX_VLAN_TAGS)
			break;
		if (bpf_skb_load_bytes(skb, offset + 2, &ether_type_be, 2))
			return PARSED_UNREADABLE;
		offset += 4;
	}
	pkt->l3_offset = offset;
	pkt->l2_length = offset;
	pkt->ether_type = bpf_ntohs(ether_type_be);
	switch (pkt->ether_type) {
	case ETH_P_IP:
		pkt->family = 4;
		return PARSED_OK;
	case ETH_P_IPV6:
		pkt->family = 6;
		return PARSED_OK;
	case ETH_P_ARP:
		return PARSED_ARP;
	}
	return PARSED_ETHERTYPE;
}

/* Devices without a link-layer header (tun, WireGuard, IP tunnels): the packet says what it is. */
static __always_inline int parse_raw(struct __sk_buff *skb, struct packet *pkt)
{
	__u8 version;

	pkt->l3_offset = 0;
	pkt->l2_length = 0;
	if (bpf_skb_load_bytes(skb, 0, &version, 1))
		return PARSED_UNREADABLE;
	version >>= 4;
	if (version != 4 && version != 6)
		return PARSED_ETHERTYPE;
	pkt->family = version;
	pkt->ether_type = version == 4 ? ETH_P_IP : ETH_P_IPV6;
	return PARSED_OK;
}

#define OPTION_BAD 0 /* no offset: the header before the options is not empty */

/* Where the option behind the one at `at` begins, `end` after the last; OPTION_BAD for one that can't be read,
 * or a source route with a host ahead of it. A function of its own: the verifier walks through it once.
 */
__noinline int next_option(struct __sk_buff *skb, __u32 at, __u32 end)
{
	__u8 kind, option[3];

	if (bpf_skb_load_bytes(skb, at, &kind, 1))
		return OPTION_BAD;
	if (kind == IPV4_OPTION_END)
		return end;
	if (kind == IPV4_OPTION_NOP)
		return at + 1;
	if (at + 2 > end || bpf_skb_load_bytes(skb, at, option, 2) || option[1] < 2 ||
	    at + option[1] > end)
		return OPTION_BAD;
	if (kind == IPV4_OPTION_LSRR || kind == IPV4_OPTION_SSRR) {
		if (option[1] < 3 || bpf_skb_load_bytes(skb, at, option, 3) ||
		    option[2] <= option[1])
			return OPTION_BAD;
	}
	return at + option[1];
}

/* Whether all options can be read, and the destination we see is the last one: no source route has a
 * host ahead of it, as no routing header of IPv6 may have.
 */
static __always_inline int are_options_plain(struct __sk_buff *skb, __u32 at, __u32 end)
{
	for (int i = 0; i < IPV4_OPTION_BYTES; i++) {
		if (at >= end)
			return 1;
		at = next_option(skb, at, end);
		if (at == OPTION_BAD)
			return 0;
	}
	return at >= end;
}

static __always_inline int parse_ipv4(struct __sk_buff *skb, struct packet *pkt)
{
	struct iphdr copy, *ip = linear(skb, pkt->l3_offset, sizeof(*ip));
	__u32 header, total;
	__u16 fragment;

	if (!ip) {
		if (bpf_skb_load_bytes(skb, pkt->l3_offset, &copy, sizeof(copy)))
			return PARSED_UNREADABLE;
		ip = &copy;
	}
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (total == 0 && skb->gso_size) /* BIG TCP: longer than the field can say */
		total = skb->len - pkt->l3_offset;
	if (ip->version != 4 || header < sizeof(*ip) || total < header ||
	    total > skb->len - pkt->l3_offset)
		return PARSED_UNREADABLE;
	if (header > sizeof(*ip) &&
	    !are_options_plain(skb, pkt->l3_offset + sizeof(*ip), pkt->l3_offset + header))
		return PARSED_UNREADABLE;
	set_ipv4(&pkt->source, ip->saddr);
	set_ipv4(&pkt->destination, ip->daddr);
	pkt->l4_offset = pkt->l3_offset + header;
	pkt->l3_end = pkt->l3_offset + total;
	pkt->l4_proto = ip->protocol;
	pkt->hop_limit = ip->ttl;
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)) {
		pkt->is_fragment = 1;
		pkt->fragment_id = ip->id;
		pkt->fragment_proto = ip->protocol;
		if (fragment & IPV4_FRAGMENT_OFFSET) {
			pkt->is_later_fragment = 1;
			/* RFC 3128: a second fragment must not reach back into the TCP header. */
			if (ip->protocol == IPPROTO_TCP && (fragment & IPV4_FRAGMENT_OFFSET) < 3)
				return PARSED_UNREADABLE;
		}
	}
	return PARSED_OK;
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, struct packet *pkt)
{
	struct ipv6hdr copy, *ip = linear(skb, pkt->l3_offset, sizeof(*ip));
	__u32 offset, total;
	__u8 next, head[8];

	if (!ip) {
		if (bpf_skb_load_bytes(skb, pkt->l3_offset, &copy, sizeof(copy)))
			return PARSED_UNREADABLE;
		ip = &copy;
	}
	total = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	if (ip->payload_len == 0 && skb->gso_size)
		total = skb->len - pkt->l3_offset;
	if (ip->version != 6 || total > skb->len - pkt->l3_offset)
		return PARSED_UNREADABLE;
	copy_addr(&pkt->source, (struct addr *)&ip->saddr);
	copy_addr(&pkt->destination, (struct addr *)&ip->daddr);
	if (is_ipv4(&pkt->source) || is_ipv4(&pkt->destination))
		return PARSED_MAPPED;
	pkt->l3_end = pkt->l3_offset + total;
	pkt->hop_limit = ip->hop_limit;
	offset = pkt->l3_offset + sizeof(*ip);
	next = ip->nexthdr;
	for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_DSTOPTS:
			if (bpf_skb_load_bytes(skb, offset, head, sizeof(head)))
				return PARSED_UNREADABLE;
			next = head[0];
			offset += (head[1] + 1) * 8;
			continue;
		case IPPROTO_ROUTING:
			if (bpf_skb_load_bytes(skb, offset, head, sizeof(head)))
				return PARSED_UNREADABLE;
			/* Segments left: the destination we see is not the last one. */
			if (head[3])
				return PARSED_UNREADABLE;
			next = head[0];
			offset += (head[1] + 1) * 8;
			continue;
		case IPPROTO_AH:
			if (bpf_skb_load_bytes(skb, offset, head, sizeof(head)))
				return PARSED_UNREADABLE;
			next = head[0];
			offset += (head[1] + 2) * 4;
			continue;
		case IPPROTO_FRAGMENT:
			/* Two fragment headers, or one behind a fragment, is nobody's honest packet. */
			if (pkt->is_fragment || bpf_skb_load_bytes(skb, offset, head, sizeof(head)))
				return PARSED_UNREADABLE;
			__u16 fragment = head[2] << 8 | head[3];

			next = head[0];
			offset += 8;
			/* Offset 0 and no more to come: an atomic fragment is whole, RFC 6946. */
			if (!(fragment & 0xfff9))
				continue;
			pkt->is_fragment = 1;
			pkt->fragment_proto = next;
			__builtin_memcpy(&pkt->fragment_id, head + 4, 4);
			if (fragment & 0xfff8) {
				pkt->is_later_fragment = 1;
				if (next == IPPROTO_TCP && (fragment >> 3) < 3)
					return PARSED_UNREADABLE;
				goto done;
			}
			continue;
		}
		goto done;
	}
	return PARSED_UNREADABLE;
done:
	pkt->l4_proto = next;
	pkt->l4_offset = offset;
	if (offset > pkt->l3_end)
		return PARSED_UNREADABLE;
	return PARSED_OK;
}

static __always_inline int parse_l4(struct __sk_buff *skb, struct packet *pkt)
{
	if (pkt->is_later_fragment)
		return PARSED_OK;
	if (pkt->l4_proto == IPPROTO_TCP) {
		struct tcphdr copy, *tcp = linear(skb, pkt->l4_offset, sizeof(*tcp));

		if (pkt->l4_offset + sizeof(*tcp) > pkt->l3_end)
			return PARSED_UNREADABLE;
		if (!tcp) {
			if (bpf_skb_load_bytes(skb, pkt->l4_offset, &copy, sizeof(copy)))
				return PARSED_UNREADABLE;
			tcp = &copy;
		}
		pkt->source_port_be = tcp->source;
		pkt->destination_port_be = tcp->dest;
		pkt->tcp_flags = ((__u8 *)tcp)[13];
		pkt->sequence = bpf_ntohl(tcp->seq);
		pkt->acknowledged = bpf_ntohl(tcp->ack_seq);
		pkt->payload_offset = pkt->l4_offset + tcp->doff * 4;
		if (tcp->doff < 5 || pkt->payload_offset > pkt->l3_end)
			return PARSED_UNREADABLE;
	} else if (pkt->l4_proto == IPPROTO_UDP || pkt->l4_proto == IPPROTO_UDPLITE) {
		struct udphdr copy, *udp = linear(skb, pkt->l4_offset, sizeof(*udp));

		if (pkt->l4_offset + sizeof(*udp) > pkt->l3_end)
			return PARSED_UNREADABLE;
		if (!udp) {
			if (bpf_skb_load_bytes(skb, pkt->l4_offset, &copy, sizeof(copy)))
				return PARSED_UNREADABLE;
			udp = &copy;
		}
		pkt->source_port_be = udp->source;
		pkt->destination_port_be = udp->dest;
		pkt->payload_offset = pkt->l4_offset + sizeof(*udp);
	} else if (pkt->l4_proto == IPPROTO_SCTP) {
		__u16 ports[2];

		if (pkt->l4_offset + 12 > pkt->l3_end ||
		    bpf_skb_load_bytes(skb, pkt->l4_offset, ports, sizeof(ports)))
			return PARSED_UNREADABLE;
		pkt->source_port_be = ports[0];
		pkt->destination_port_be = ports[1];
		pkt->payload_offset = pkt->l4_offset + 12;
	} else if ((pkt->l4_proto == IPPROTO_ICMP && pkt->family == 4) ||
		   (pkt->l4_proto == IPPROTO_ICMPV6 && pkt->family == 6)) {
		__u8 icmp[8];

		if (pkt->l4_offset + sizeof(icmp) > pkt->l3_end ||
		    bpf_skb_load_bytes(skb, pkt->l4_offset, icmp, sizeof(icmp)))
			return PARSED_UNREADABLE;
		pkt->icmp_type = icmp[0];
		pkt->payload_offset = pkt->l4_offset + sizeof(icmp);
		/* Echo requests and replies share an identifier: the port of their flow. */
		if (pkt->family == 4 ? (icmp[0] == ICMP_ECHO || icmp[0] == ICMP_ECHOREPLY) :
				       (icmp[0] == ICMPV6_ECHO_REQUEST ||
					icmp[0] == ICMPV6_ECHO_REPLY))
			__builtin_memcpy(&pkt->source_port_be, icmp + 4, 2);
	} else {
		pkt->payload_offset = pkt->l4_offset;
	}
	return PARSED_OK;
}

/* From the link layer up to ports; with_l2 = 0 for devices without a link-layer header. */
__noinline int parse_packet(struct __sk_buff *skb, __u32 area, __u32 with_l2)
{
	struct scratch *s = get_scratch(area);
	struct packet *pkt;
	int parsed;

	if (!s)
		return PARSED_UNREADABLE;
	pkt = &s->pkt;
	__builtin_memset(pkt, 0, sizeof(*pkt));
	parsed = with_l2 ? parse_ethernet(skb, pkt) : parse_raw(skb, pkt);
	if (parsed != PARSED_OK)
		return parsed;
	parsed = pkt->family == 4 ? parse_ipv4(skb, pkt) : parse_ipv6(skb, pkt);
	if (parsed != PARSED_OK)
		return parsed;
	return parse_l4(skb, pkt);
}

#endif
