/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Refusal that the program notices: the blocked packet is turned into its own
 * answer and sent up at the ingress of the same interface. A local connect
 * gets ECONNREFUSED or EHOSTUNREACH at once, and so does a forwarded one.
 */
#ifndef L7EGG_REFUSE_H
#define L7EGG_REFUSE_H

#include "reply.h"

#define ICMP_BURST 64
#define ICMP_INTERVAL_NS 1000000ULL /* one a millisecond beyond the burst, per CPU */

struct reply_budget {
	__u64 next_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reply_budget);
} reply_budgets SEC(".maps");

static __always_inline int may_send_icmp(void)
{
	__u32 zero = 0;
	struct reply_budget *budget = bpf_map_lookup_elem(&reply_budgets, &zero);
	__u64 now = bpf_ktime_get_ns(), next;

	if (!budget)
		return 0;
	next = budget->next_ns;
	if (next + ICMP_BURST * ICMP_INTERVAL_NS < now)
		next = now - ICMP_BURST * ICMP_INTERVAL_NS;
	if (next > now) {
		count(COUNT_REPLIES_LIMITED);
		return 0;
	}
	budget->next_ns = next + ICMP_INTERVAL_NS;
	return 1;
}

static __always_inline int is_group(struct packet *pkt)
{
	if (pkt->family == 4)
		return pkt->destination.bytes[12] >= 224 || pkt->source.words_be[3] == 0;
	return pkt->destination.bytes[0] == 0xff ||
	       (pkt->source.halves_be[0] == 0 && pkt->source.halves_be[1] == 0);
}

/* Drops the scratch packet, with an answer where the sender can be told. */
__noinline int refuse(struct __sk_buff *skb, __u32 area, __u32 with_l2)
{
	struct scratch *s = get_scratch(area);
	struct packet *pkt;
	int failed;

	if (!s)
		return TC_ACT_SHOT;
	pkt = &s->pkt;
	count(COUNT_REFUSED);
	if (pkt->is_later_fragment || is_group(pkt))
		return TC_ACT_SHOT;
	if (pkt->l4_proto == IPPROTO_TCP) {
		if (pkt->tcp_flags & TCP_RST)
			return TC_ACT_SHOT;
		failed = pkt->family == 4 ? reset_ipv4(skb, s->area, with_l2) :
					    reset_ipv6(skb, s->area, with_l2);
	} else {
		/* No error about an error, RFC 1122 3.2.2; nobody waits for a reply to a reply. */
		if (pkt->l4_proto == IPPROTO_ICMP && pkt->icmp_type != ICMP_ECHO)
			return TC_ACT_SHOT;
		if (pkt->l4_proto == IPPROTO_ICMPV6 && pkt->icmp_type != ICMPV6_ECHO_REQUEST)
			return TC_ACT_SHOT;
		if (!may_send_icmp())
			return TC_ACT_SHOT;
		failed = pkt->family == 4 ? prohibit_ipv4(skb, s->area, with_l2) :
					    prohibit_ipv6(skb, s->area, with_l2);
	}
	return failed ? TC_ACT_SHOT : send_up(skb);
}

#define TCP_CHECK_OFFSET 16

/* The sum of the pseudo header for a TCP segment of `length` bytes, as it stands in a segment whose checksum the
 * device is to fill in (CHECKSUM_PARTIAL). The same for both ways.
 */
static __always_inline __u16 pseudo_sum(struct packet *pkt, __u32 length)
{
	struct {
		struct addr source, destination;
		__u32 length_be, next_be;
	} pseudo;
	__s64 sum;

	if (pkt->family == 4) {
		struct {
			__u32 source, destination, proto_length_be;
		} short_pseudo;

		short_pseudo.source = pkt->source.words_be[3];
		short_pseudo.destination = pkt->destination.words_be[3];
		short_pseudo.proto_length_be = bpf_htonl(IPPROTO_TCP << 16 | length);
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&short_pseudo, sizeof(short_pseudo), 0);
	} else {
		copy_addr(&pseudo.source, &pkt->source);
		copy_addr(&pseudo.destination, &pkt->destination);
		pseudo.length_be = bpf_htonl(length);
		pseudo.next_be = bpf_htonl(IPPROTO_TCP);
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	}
	return ~fold(sum);
}

/* The scratch packet as its other end would send it. */
static __always_inline void turn_round(struct packet *pkt)
{
	struct addr from;
	__u16 port_be = pkt->source_port_be;
	__u32 sequence = pkt->sequence;

	copy_addr(&from, &pkt->source);
	copy_addr(&pkt->source, &pkt->destination);
	copy_addr(&pkt->destination, &from);
	pkt->source_port_be = pkt->destination_port_be;
	pkt->destination_port_be = port_be;
	pkt->sequence = pkt->acknowledged;
	pkt->acknowledged = sequence;
}

/* Refuses a lookup over TCP: the client is reset, and so is the resolver, whose end of the connection would
 * stay until it times out, and with it one of its few places for such.
 */
__noinline int reset_both_ends(struct __sk_buff *skb, __u32 area, __u32 with_l2)
{
	struct scratch *s = get_scratch(area);
	__u32 plain, is_partial = 0;
	struct packet *pkt;
	__u16 check;

	if (!s)
		return TC_ACT_SHOT;
	pkt = &s->pkt;
	plain = pkt->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	/* Where the device fills in the checksum, it does so behind headers of the length that they had. */
	if (!(pkt->tcp_flags & TCP_ACK) || pkt->tcp_flags & (TCP_SYN | TCP_RST) ||
	    pkt->l4_offset - pkt->l3_offset != plain ||
	    bpf_skb_load_bytes(skb, pkt->l4_offset + TCP_CHECK_OFFSET, &check, sizeof(check)))
		return refuse(skb, s->area, with_l2);
	is_partial = check == pseudo_sum(pkt, pkt->l3_end - pkt->l4_offset);
	count(COUNT_REFUSED);
	if (pkt->family == 4 ? reset_ipv4(skb, s->area, with_l2) : reset_ipv6(skb, s->area, with_l2))
		return TC_ACT_SHOT;
	count(COUNT_REPLIES);
	bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS);
	turn_round(pkt);
	if (pkt->family == 4 ? reset_ipv4(skb, s->area, with_l2) : reset_ipv6(skb, s->area, with_l2))
		return TC_ACT_SHOT;
	check = pseudo_sum(pkt, sizeof(struct tcphdr));
	if (is_partial && bpf_skb_store_bytes(skb, pkt->l4_offset + TCP_CHECK_OFFSET, &check,
					      sizeof(check), 0))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

/* Answers the query in the scratch message NXDOMAIN, without a SOA so that nothing is cached. */
__noinline int answer_nxdomain(struct __sk_buff *skb, __u32 area, __u32 with_l2)
{
	struct scratch *s = get_scratch(area);
	__u32 length, udp_length, header, padded;
	struct udphdr udp = {};
	struct packet *pkt;

	if (!s)
		return -1;
	pkt = &s->pkt;
	length = s->question_end;
	opaque(length);
	if (length < DNS_HEADER || length > 512)
		return -1;
	udp_length = length + sizeof(udp);
	header = pkt->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	s->message[2] = 0x80 | (s->message[2] & 0x01); /* QR, RD as asked */
	s->message[3] = 0x83; /* RA, NXDOMAIN */
	/* Question only: the counts of the other sections are cleared with their records. */
	s->message[6] = s->message[7] = s->message[8] = s->message[9] = 0;
	s->message[10] = s->message[11] = 0;
	udp.source = pkt->destination_port_be;
	udp.dest = pkt->source_port_be;
	udp.len = bpf_htons(udp_length);
	if (pkt->family == 4) {
		struct iphdr ip = {};

		set_reply_ipv4(&ip, pkt, header + udp_length, IPPROTO_UDP);
		if (replace_packet(skb, pkt, &ip, sizeof(ip), with_l2))
			return -1;
	} else {
		struct ipv6hdr ip = {};
		__s64 sum;

		set_reply_ipv6(&ip, pkt, udp_length, IPPROTO_UDP);
		sum = sum_pseudo6(&ip, udp_length, IPPROTO_UDP);
		sum = bpf_csum_diff(NULL, 0, (__be32 *)&udp, sizeof(udp), (__u32)sum);
		padded = length;
		opaque(padded);
		padded &= 511;
		*(__u32 *)(s->message + padded) = 0; /* the sum takes whole words */
		padded = (padded + 3) & 0x1fc;
		udp.check = fold(
			bpf_csum_diff(NULL, 0, (__be32 *)s->message, padded, (__u32)sum));
		if (!udp.check)
			udp.check = 0xffff;
		if (replace_packet(skb, pkt, &ip, sizeof(ip), with_l2))
			return -1;
	}
	if (bpf_skb_change_tail(skb, pkt->l3_offset + header + udp_length, 0))
		if (skb->len < pkt->l3_offset + header + udp_length)
			return -1;
	if (bpf_skb_store_bytes(skb, pkt->l3_offset + header, &udp, sizeof(udp),
				BPF_F_RECOMPUTE_CSUM))
		return -1;
	opaque(length);
	if (length < DNS_HEADER || length > 512)
		return -1;
	return bpf_skb_store_bytes(skb, pkt->l3_offset + header + sizeof(udp), s->message, length,
				   BPF_F_RECOMPUTE_CSUM);
}

#endif
