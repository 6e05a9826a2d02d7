/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Parses a packet into the scratch area. */
#ifndef L7EGG_PARSE_H
#define L7EGG_PARSE_H

#include "scratch.h"

/* From the link layer up to ports; with_l2 = 0 for devices without a link-layer header. */
__noinline int parse_packet(struct __sk_buff *skb, __u32 with_l2)
{
	struct scratch *s = get_scratch();
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
