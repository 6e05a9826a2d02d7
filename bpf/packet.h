/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A packet as it was read, and its addresses. */
#ifndef L7EGG_PACKET_H
#define L7EGG_PACKET_H

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "contract.h"

/* linux/icmp.h draws in user-space headers. RFC 792. */
#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSION_HEADERS 8

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV4_OPTION_BYTES 40
#define IPV4_OPTION_END 0
#define IPV4_OPTION_NOP 1
#define IPV4_OPTION_LSRR 131 /* loose and strict source route, RFC 791 3.1 */
#define IPV4_OPTION_SSRR 137

enum parsed {
	PARSED_OK,
	PARSED_ARP,
	PARSED_ETHERTYPE,
	PARSED_UNREADABLE,
	PARSED_MAPPED,
};

struct packet {
	struct addr source;
	struct addr destination;
	__u32 l3_offset;
	__u32 l4_offset;
	__u32 l3_end; /* where the IP packet ends; padding of the frame is beyond */
	__u32 payload_offset; /* behind the header of the protocol */
	__u32 sequence;
	__u32 acknowledged;
	__u32 fragment_id;
	__u16 ether_type;
	__u16 source_port_be;
	__u16 destination_port_be;
	__u8 family; /* 4 or 6 */
	__u8 l4_proto;
	__u8 hop_limit;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 is_fragment; /* any fragment */
	__u8 is_later_fragment; /* has no ports */
	__u8 fragment_proto; /* the first header of what was cut, the same in all fragments */
	__u8 l2_length; /* 14 + tags, or 0 */
};

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* Right before every variable index, after which the mask is applied: the
 * compiler must not prove the mask away, nor check a copy (see facts).
 */
#define opaque(value) asm volatile("" : "+r"(value))

#define copy_addr(to, from)                                                                        \
	do {                                                                                       \
		(to)->halves_be[0] = (from)->halves_be[0];                                         \
		(to)->halves_be[1] = (from)->halves_be[1];                                         \
	} while (0)

static __always_inline void set_ipv4(struct addr *addr, __u32 v4_be)
{
	addr->halves_be[0] = 0;
	/* In one store: what reads the half right after would wait for two. */
	addr->halves_be[1] = bpf_cpu_to_be64(0xffff00000000ULL | bpf_ntohl(v4_be));
}

static __always_inline int is_ipv4(const struct addr *addr)
{
	return addr->halves_be[0] == 0 && addr->words_be[2] == bpf_htonl(0xffff);
}

static __always_inline int same_addr(const struct addr *a, const struct addr *b)
{
	return a->halves_be[0] == b->halves_be[0] && a->halves_be[1] == b->halves_be[1];
}

#endif
