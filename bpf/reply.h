/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The blocked packet made into an answer to itself: RST, or ICMP "administratively prohibited". */
#ifndef L7EGG_REPLY_H
#define L7EGG_REPLY_H

#include "flow.h"

#define REPLY_TTL 64
#define ICMP_QUOTE 28 /* header and 8 bytes, RFC 792; more where the quoted header is longer */
#define ICMP6_QUOTE 48
#define ICMP_ADMIN_PROHIBITED 13 /* RFC 1812 5.2.7.1 */
#define ICMPV6_ADMIN_PROHIBITED 1 /* RFC 4443 3.1 */

struct reply4_tcp {
	struct iphdr ip;
	struct tcphdr tcp;
};

struct reply6_tcp {
	struct ipv6hdr ip;
	struct tcphdr tcp;
};

struct reply4_icmp {
	struct iphdr ip;
	__u8 type;
	__u8 code;
	__u16 check;
	__u32 unused;
	__u8 quote[ICMP_QUOTE];
};

struct reply6_icmp {
	struct ipv6hdr ip;
	__u8 type;
	__u8 code;
	__u16 check;
	__u32 unused;
	__u8 quote[ICMP6_QUOTE];
};

_Static_assert(sizeof(struct reply4_tcp) == 40, "no padding");
_Static_assert(sizeof(struct reply6_tcp) == 60, "no padding");
_Static_assert(sizeof(struct reply4_icmp) == 56, "no padding");
_Static_assert(sizeof(struct reply6_icmp) == 96, "no padding");

struct pseudo6 {
	struct in6_addr source;
	struct in6_addr destination;
	__u32 length_be;
	__u32 next_be;
};

static __always_inline __u16 fold(__s64 sum)
{
	__u32 folded = sum;

	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	return ~folded;
}

static __always_inline void set_reply_ipv4(struct iphdr *ip, struct packet *pkt, __u16 total,
					   __u8 proto)
{
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(total);
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = REPLY_TTL;
	ip->protocol = proto;
	ip->saddr = pkt->destination.words_be[3];
	ip->daddr = pkt->source.words_be[3];
	ip->check = fold(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline void set_reply_ipv6(struct ipv6hdr *ip, struct packet *pkt, __u16 payload,
					   __u8 proto)
{
	ip->version = 6;
	ip->payload_len = bpf_htons(payload);
	ip->nexthdr = proto;
	ip->hop_limit = REPLY_TTL;
	__builtin_memcpy(&ip->saddr, &pkt->destination, 16);
	__builtin_memcpy(&ip->daddr, &pkt->source, 16);
}

static __always_inline __s64 sum_pseudo6(struct ipv6hdr *ip, __u16 length, __u8 proto)
{
	struct pseudo6 pseudo = { .source = ip->saddr,
				  .destination = ip->daddr,
				  .length_be = bpf_htonl(length),
				  .next_be = bpf_htonl(proto) };

	return bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
}

/* Ends the sender's connection: a SYN is refused (RFC 9293 3.10.7.1), a later segment reset. */
static __always_inline void set_reset(struct tcphdr *tcp, struct packet *pkt)
{
	tcp->source = pkt->destination_port_be;
	tcp->dest = pkt->source_port_be;
	tcp->doff = 5;
	tcp->rst = 1;
	if (pkt->tcp_flags & TCP_ACK) {
		tcp->seq = bpf_htonl(pkt->acknowledged);
	} else {
		__u32 taken = pkt->l3_end - pkt->payload_offset;

		if (pkt->tcp_flags & TCP_SYN)
			taken++;
		if (pkt->tcp_flags & TCP_FIN)
			taken++;
		tcp->ack = 1;
		tcp->ack_seq = bpf_htonl(pkt->sequence + taken);
	}
}

/* Replaces the packet behind its link layer by `length` bytes, and swaps the link-layer ends. */
static __always_inline int replace_packet(struct __sk_buff *skb, struct packet *pkt,
					  const void *bytes, __u32 length, int with_l2)
{
	/* The kernel may want to keep more (a checksum it still has to fill in beyond our end): what
	 * is behind the IP length is padding then, and the receiver trims it.
	 */
	bpf_skb_change_tail(skb, pkt->l3_offset + length, 0);
	if (skb->len < pkt->l3_offset + length)
		return -1;
	if (bpf_skb_store_bytes(skb, pkt->l3_offset, bytes, length,
				BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH))
		return -1;
	if (with_l2) {
		__u8 macs[12], swapped[12];

		if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
			return -1;
		__builtin_memcpy(swapped, macs + 6, 6);
		__builtin_memcpy(swapped + 6, macs, 6);
		if (bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), 0))
			return -1;
	}
	return 0;
}

static __always_inline int send_up(struct __sk_buff *skb)
{
	count(COUNT_REPLIES);
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

__noinline int reset_ipv4(struct __sk_buff *skb, __u32 area, __u32 with_l2)
{
	struct scratch *s = get_scratch(area);
	struct packet *pkt;
	struct reply4_tcp reply = {};
	struct {
		__u32 source, destination, proto_length_be;
	} pseudo;
	__s64 sum;

	if (!s)
		return -1;
	pkt = &s->pkt;
	pseudo.source = pkt->destination.words_be[3];
	pseudo.destination = pkt->source.words_be[3];
	pseudo.proto_length_be = bpf_htonl(IPPROTO_TCP << 16 | sizeof(reply.tcp));
	set_reply_ipv4(&reply.ip, pkt, sizeof(reply), IPPROTO_TCP);
	set_reset(&reply.tcp, pkt);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	reply.tcp.check = fold(
		bpf_csum_diff(NULL, 0, (__be32 *)&reply.tcp, sizeof(reply.tcp), (__u32)sum));
	return replace_packet(skb, pkt, &reply, sizeof(reply), with_l2);
}

__noinline int reset_ipv6(struct __sk_buff *skb, __u32 area, __u32 with_l2)
{
	struct scratch *s = get_scratch(area);
	struct packet *pkt;
	struct reply6_tcp reply = {};
	__s64 sum;

	if (!s)
		return -1;
	pkt = &s->pkt;
	set_reply_ipv6(&reply.ip, pkt, sizeof(reply.tcp), IPPROTO_TCP);
	set_reset(&reply.tcp, pkt);
	sum = sum_pseudo6(&reply.ip, sizeof(reply.tcp), IPPROTO_TCP);
	reply.tcp.check = fold(
		bpf_csum_diff(NULL, 0, (__be32 *)&reply.tcp, sizeof(reply.tcp), (__u32)sum));
	return replace_packet(skb, pkt, &reply, sizeof(reply), with_l2);
}

__noinline int prohibit_ipv4(struct __sk_buff *skb, __u32 area, __u32 with_l2)
{
	struct scratch *s = get_scratch(area);
	struct packet *pkt;
	struct reply4_icmp reply = { .type = ICMP_DEST_UNREACH, .code = ICMP_ADMIN_PROHIBITED };
	struct iphdr *quoted = (struct iphdr *)reply.quote;

	if (!s)
		return -1;
	pkt = &s->pkt;
	if (bpf_skb_load_bytes(skb, pkt->l3_offset, reply.quote, sizeof(struct iphdr)) ||
	    bpf_skb_load_bytes(skb, pkt->l4_offset, reply.quote + sizeof(struct iphdr), 8))
		return -1;
	/* Options are left out of the quote, so that it is one size and finds its socket. */
	quoted->ihl = 5;
	quoted->check = 0;
	quoted->check = fold(bpf_csum_diff(NULL, 0, (__be32 *)quoted, sizeof(*quoted), 0));
	set_reply_ipv4(&reply.ip, pkt, sizeof(reply), IPPROTO_ICMP);
	reply.check = fold(bpf_csum_diff(NULL, 0, (__be32 *)&reply.type,
					 sizeof(reply) - sizeof(reply.ip), 0));
	return replace_packet(skb, pkt, &reply, sizeof(reply), with_l2);
}

__noinline int prohibit_ipv6(struct __sk_buff *skb, __u32 area, __u32 with_l2)
{
	struct scratch *s = get_scratch(area);
	struct packet *pkt;
	struct reply6_icmp reply = { .type = ICMPV6_DEST_UNREACH, .code = ICMPV6_ADMIN_PROHIBITED };
	struct ipv6hdr *quoted = (struct ipv6hdr *)reply.quote;
	__u32 length = sizeof(reply) - sizeof(reply.ip);

	if (!s)
		return -1;
	pkt = &s->pkt;
	if (bpf_skb_load_bytes(skb, pkt->l3_offset, reply.quote, sizeof(struct ipv6hdr)) ||
	    bpf_skb_load_bytes(skb, pkt->l4_offset, reply.quote + sizeof(struct ipv6hdr), 8))
		return -1;
	quoted->nexthdr = pkt->l4_proto; /* extension headers are left out of the quote */
	set_reply_ipv6(&reply.ip, pkt, length, IPPROTO_ICMPV6);
	reply.check = fold(bpf_csum_diff(NULL, 0, (__be32 *)&reply.type, length,
					 (__u32)sum_pseudo6(&reply.ip, length, IPPROTO_ICMPV6)));
	return replace_packet(skb, pkt, &reply, sizeof(reply), with_l2);
}

#endif
