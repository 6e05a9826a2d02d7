/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What queries and answers share: resolvers, the key that binds them, TCP streams. */
#ifndef L7EGG_DNS_H
#define L7EGG_DNS_H

#include "event.h"
#include "lease.h"

#define ANSWER_LIFE_NS 10000000000ULL

#define DNS_FLAG_RESPONSE 0x8000
#define DNS_OPCODE 0x7800
#define DNS_FLAG_TRUNCATED 0x0200
#define DNS_RCODE 0x000f
#define DNS_NXDOMAIN 3
#define DNS_CLASS_IN 1

#define TYPE_A 1
#define TYPE_NS 2
#define TYPE_CNAME 5
#define TYPE_SOA 6
#define TYPE_PTR 12
#define TYPE_MX 15
#define TYPE_TXT 16
#define TYPE_AAAA 28
#define TYPE_SRV 33
#define TYPE_NAPTR 35
#define TYPE_DS 43
#define TYPE_DNSKEY 48
#define TYPE_TLSA 52
#define TYPE_SVCB 64
#define TYPE_HTTPS 65
#define TYPE_CAA 257

static __always_inline int is_loopback(const struct addr *addr)
{
	if (is_ipv4(addr))
		return addr->bytes[12] == 127;
	return addr->halves_be[0] == 0 && addr->halves_be[1] == bpf_cpu_to_be64(1);
}

/* Docker rewrites the port of the resolver that it puts on a container's loopback: of subjects such a one is known by
 * its address, and what they send from there is dropped. On the host, any local program could teach so.
 */
static __always_inline int has_any_port(const struct addr *addr, __u32 policy)
{
	return policy != HOST_POLICY && is_loopback(addr);
}

/* A trusted resolver's DNS port. */
static __always_inline int is_resolver(struct slot *slot, const struct addr *addr, __u16 port_be,
				       __u32 policy)
{
	struct resolver_key key = { .port_be = port_be, .policy = policy };

	if (has_any_port(addr, policy)) {
		key.port_be = 0;
		copy_addr(&key.addr, addr);
		if (bpf_map_lookup_elem(&resolvers, &key))
			return 1;
		key.port_be = port_be;
	}
	if (!port_be || (port_be != slot->dns_ports_be[0] && port_be != slot->dns_ports_be[1] &&
			 port_be != slot->dns_ports_be[2] && port_be != slot->dns_ports_be[3]))
		return 0;
	copy_addr(&key.addr, addr);
	return bpf_map_lookup_elem(&resolvers, &key) != NULL;
}

/* Binds an answer to its question; both sides call it with the client first. */
static __always_inline void bind_query(struct scratch *s, const struct addr *client,
				       __u16 client_port_be, const struct addr *resolver,
				       __u16 resolver_port_be, __u16 query_id, __u8 l4_proto)
{
	struct pending_key *key = &s->pending_key;

	__builtin_memset(key, 0, sizeof(*key));
	copy_addr(&key->client, client);
	copy_addr(&key->resolver, resolver);
	key->client_port_be = client_port_be;
	key->resolver_port_be = has_any_port(resolver, s->policy) ? 0 : resolver_port_be;
	key->query_id_be = bpf_htons(query_id);
	key->policy = s->policy;
	key->l4_proto = l4_proto;
}

static __always_inline void set_stream_key(struct dns_stream_key *key, __u32 policy,
					   const struct addr *client, __u16 client_port_be,
					   const struct addr *resolver, __u16 resolver_port_be)
{
	copy_addr(&key->client, client);
	copy_addr(&key->resolver, resolver);
	key->client_port_be = client_port_be;
	key->resolver_port_be = has_any_port(resolver, policy) ? 0 : resolver_port_be;
}

/* Copies n bytes of the packet to the start of the scratch message. 0 = could not. */
static __always_inline int copy_message(struct __sk_buff *skb, struct scratch *s, __u32 offset,
					__u32 n)
{
	if (n < DNS_HEADER || n > MAX_DNS_MESSAGE)
		return 0;
	opaque(n);
	if (n > MAX_DNS_MESSAGE)
		return 0;
	if (n == 0)
		return 0;
	if (bpf_skb_load_bytes(skb, offset, s->message, n))
		return 0;
	s->length = n;
	return 1;
}

#endif
