/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Subjects: the processes of a cgroup, judged by a policy of their own wherever
 * their packets go. The same verdict as in tc, on packets that begin with their
 * IP header; nothing can be answered from here, but the caller learns of a
 * refusal at once: connect() and send() fail with EPERM.
 *
 * Loopback is judged, too, for a proxy may listen there; but not between
 * processes of one subject.
 */
#ifndef L7EGG_CGROUP_H
#define L7EGG_CGROUP_H

#include "ingress.h"
#include "process.h"

#define CGROUP_DROP 0
#define CGROUP_PASS 1

#define TCP_TIME_WAIT_STATE 6

/* Set where the kernel lets cgroup_skb programs ask for the namespace (6.15); the verifier drops what it is not
 * set for. Elsewhere the socket's owner tells, for sockets made since we came.
 */
const volatile __u32 has_packet_netns;

static __always_inline struct bpf_sock *full_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	return sk ? bpf_sk_fullsock(sk) : NULL;
}

/* Only the subject's own network namespace has the trusted resolvers: in another, anybody may stand at their
 * address.
 */
static __always_inline int is_in_netns(struct __sk_buff *skb, struct subject *subject)
{
	struct socket_owner *owner;
	struct bpf_sock *sk;

	if (has_packet_netns)
		return bpf_get_netns_cookie(skb) == subject->netns_cookie;
	sk = full_socket(skb);
	owner = sk ? bpf_sk_storage_get(&socket_owners, sk, NULL, 0) : NULL;
	return owner && owner->netns_cookie == subject->netns_cookie;
}

static __always_inline int is_owned_by(struct socket_owner *owner, __u32 policy)
{
	for (int i = 0; i < MAX_NESTING; i++)
		if (owner->policies[i] == policy)
			return 1;
	return 0;
}

/* A socket is of the cgroup that its maker was in, for good. */
static __always_inline int is_of_subject(struct bpf_sock *sk, struct subject *subject)
{
	struct socket_owner *owner;

	if (bpf_sk_ancestor_cgroup_id(sk, subject->level) == subject->cgroup_id)
		return 1;
	owner = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	return owner && is_owned_by(owner, subject->policy);
}

/* Nobody on this host has the other end of the TCP packet any more, or has it yet: the kernel answers that by
 * itself, and what the packet carries reaches no process. A first one only where no transparent proxy takes it.
 */
static __always_inline int is_at_dead_end(struct __sk_buff *skb, struct packet *pkt,
					  struct bpf_sock_tuple *tuple, __u32 size)
{
	struct bpf_sock *sk = bpf_skc_lookup_tcp(skb, tuple, size, BPF_F_CURRENT_NETNS, 0);
	int state;

	if (!sk)
		return !is_first_tcp(pkt) || (pkt->payload_offset == pkt->l3_end &&
					      is_own_address(&pkt->destination));
	state = sk->state;
	bpf_sk_release(sk);
	return state == TCP_TIME_WAIT_STATE && !is_first_tcp(pkt);
}

static __always_inline struct bpf_sock *find_other_end(struct __sk_buff *skb, struct packet *pkt,
						       struct bpf_sock_tuple *tuple, __u32 size)
{
	struct bpf_sock *sk;

	if (!is_tcp(pkt))
		return bpf_sk_lookup_udp(skb, tuple, size, BPF_F_CURRENT_NETNS, 0);
	sk = bpf_sk_lookup_tcp(skb, tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (sk || !is_first_tcp(pkt))
		return sk;
	/* What is left of the last connection between the same ports hides the server. */
	if (pkt->family == 4)
		tuple->ipv4.sport = 0;
	else
		tuple->ipv6.sport = 0;
	return bpf_sk_lookup_tcp(skb, tuple, size, BPF_F_CURRENT_NETNS, 0);
}

/* The packet stays on this host, and its other end is a socket of the same subject, or nobody's. */
static __always_inline int is_among_own(struct __sk_buff *skb, struct scratch *s,
					struct subject *subject)
{
	struct packet *pkt = &s->pkt;
	struct bpf_sock_tuple tuple = {};
	__u32 size = pkt->family == 4 ? sizeof(tuple.ipv4) : sizeof(tuple.ipv6);
	struct bpf_sock *sk;
	int is_own;

	/* What the host sends to itself, to whatever address of its own, leaves by lo. */
	if (skb->ifindex != LOOPBACK_IFINDEX || pkt->is_fragment ||
	    (!is_tcp(pkt) && pkt->l4_proto != IPPROTO_UDP))
		return 0;
	set_tuple(&tuple, pkt);
	sk = find_other_end(skb, pkt, &tuple, size);
	if (!sk)
		return is_tcp(pkt) && is_at_dead_end(skb, pkt, &tuple, size);
	is_own = is_of_subject(sk, subject);
	bpf_sk_release(sk);
	return is_own;
}

/* A subject that answers as the resolver could teach itself what it likes. One that is to serve DNS takes calls
 * on that port.
 */
static __always_inline int poses_as_resolver(struct scratch *s, struct control *c)
{
	struct packet *pkt = &s->pkt;
	__u16 port_be = pkt->destination_port_be;
	int serves;

	if (pkt->is_later_fragment || (pkt->l4_proto != IPPROTO_UDP && !is_tcp(pkt)) ||
	    !is_resolver(&c->slots[s->slot & 1], &pkt->source, pkt->source_port_be, s->policy))
		return 0;
	pkt->destination_port_be = pkt->source_port_be;
	serves = takes_calls(s);
	pkt->destination_port_be = port_be;
	return !serves;
}

/* A subject is judged while its policy is in the slot in force: at a swap it comes and goes together with all else. */
static __always_inline int is_in_force(struct scratch *s)
{
	return find_policy(s->slot, s->policy) != NULL;
}

static __always_inline int drop_unless_audit(struct __sk_buff *skb, struct scratch *s)
{
	note_sender(skb, s);
	if (!tell_denial(s))
		return CGROUP_PASS;
	count(COUNT_REFUSED);
	return CGROUP_DROP;
}

static __always_inline int judge_subject_packet(struct __sk_buff *skb, struct scratch *s,
						struct control *c, struct subject *subject)
{
	int parsed, socket, to_resolver;

	parsed = parse_packet(skb, s->area, 0);
	if (parsed != PARSED_OK) {
		note_unparsed(s, parsed);
		return drop_unless_audit(skb, s);
	}
	if (poses_as_resolver(s, c)) {
		s->result.reason = REASON_NO_RULE;
		return drop_unless_audit(skb, s);
	}
	set_flow_key(&s->key, &s->pkt, s->policy);
	s->asks_home = is_in_netns(skb, subject);
	to_resolver = goes_to_resolver(s, c);
	socket = to_resolver ? SOCKET_NONE : match_socket(skb, s);
	if (passes_by_socket(skb, s, socket) || is_link_upkeep(skb, s))
		return CGROUP_PASS;
	if (to_resolver) {
		if (judge_query(skb, s->area) == QUERY_PASS)
			return CGROUP_PASS;
		count(COUNT_REFUSED);
		return CGROUP_DROP;
	}
	if (subject->flags & SUBJECT_OWN_NETNS && s->asks_home && is_loopback(&s->pkt.destination))
		return CGROUP_PASS;
	if (is_among_own(skb, s, subject)) {
		if (socket == SOCKET_OTHER)
			keep_with_socket(skb, s->area, 1);
		return CGROUP_PASS;
	}
	return judge_packet(skb, s, socket) ? CGROUP_PASS : drop_unless_audit(skb, s);
}

/* A subject's connection that ends: its last packets may be the kernel's own, of no process and so of no subject,
 * and the policy of the host is not to refuse them where it is in force.
 */
static __always_inline void leave_rest_to_host(struct scratch *s)
{
	void *inner = policy_map(&policies, s->slot);
	__u32 host = HOST_POLICY;
	struct flow_key key;

	if (s->pkt.is_later_fragment || !is_tcp(&s->pkt) || !(s->pkt.tcp_flags & TCP_FIN) ||
	    !inner || !bpf_map_lookup_elem(inner, &host))
		return;
	set_flow_key(&key, &s->pkt, HOST_POLICY);
	enter_inbound(&inbound, &key);
}

static __always_inline int leave_subject(struct __sk_buff *skb)
{
	struct subject *subject = bpf_get_local_storage(&subjects, 0);
	struct control *c = get_control();
	struct scratch *s;
	int verdict = CGROUP_PASS;

	if (!subject->policy) /* attached, not in force yet */
		return CGROUP_PASS;
	s = take_scratch();
	if (!c || !s) /* fail closed: nothing to judge by */
		return CGROUP_DROP;
	begin(s, c, subject->policy);
	if (is_in_force(s)) {
		verdict = judge_subject_packet(skb, s, c, subject);
		if (verdict == CGROUP_PASS)
			leave_rest_to_host(s);
	}
	give_scratch_back(s);
	if (subject->priority)
		skb->priority = subject->priority;
	return verdict;
}

/* Answers teach before they are delivered; who calls from outside is answered where the policy says so. */
static __always_inline int enter_subject(struct __sk_buff *skb)
{
	struct subject *subject = bpf_get_local_storage(&subjects, 0);
	struct control *c = get_control();
	struct scratch *s;
	int tracks;

	if (!subject->policy || !c)
		return CGROUP_PASS;
	s = take_scratch();
	if (!s)
		return CGROUP_PASS;
	begin(s, c, subject->policy);
	if (is_in_force(s) && parse_packet(skb, s->area, 0) == PARSED_OK) {
		s->asks_home = is_in_netns(skb, subject);
		tracks = !(policy_flags(s->slot, s->policy) & POLICY_NO_INBOUND);
		take_arrival(skb, s, c, 1, tracks);
	}
	give_scratch_back(s);
	return CGROUP_PASS;
}

static __always_inline void own_socket(struct bpf_sock *sk, __u64 netns_cookie,
				       struct subject *subject)
{
	struct socket_owner *owner =
		bpf_sk_storage_get(&socket_owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!owner)
		return;
	owner->netns_cookie = netns_cookie;
	owner->policies[subject->nesting & (MAX_NESTING - 1)] = subject->policy;
}

/* The destination of a call, as the packet that it would make. */
static __always_inline void set_called(struct scratch *s, struct bpf_sock_addr *ctx, int family)
{
	struct packet *pkt = &s->pkt;

	__builtin_memset(pkt, 0, sizeof(*pkt));
	pkt->l4_proto = ctx->protocol;
	pkt->destination_port_be = ctx->user_port;
	if (family == 4) {
		set_ipv4(&pkt->destination, ctx->user_ip4);
	} else {
		pkt->destination.words_be[0] = ctx->user_ip6[0];
		pkt->destination.words_be[1] = ctx->user_ip6[1];
		pkt->destination.words_be[2] = ctx->user_ip6[2];
		pkt->destination.words_be[3] = ctx->user_ip6[3];
	}
	/* An IPv6 socket that calls ::ffff:a.b.c.d sends IPv4. */
	pkt->family = is_ipv4(&pkt->destination) ? 4 : 6;
	pkt->ether_type = pkt->family == 4 ? ETH_P_IP : ETH_P_IPV6;
	if (pkt->family == 4)
		set_ipv4(&pkt->source, 0); /* none is chosen yet */
}

/* Somebody else's server on this host: the caller learns at once, as of any other. */
static __always_inline int is_foreign_server(struct scratch *s, struct bpf_sock_addr *ctx)
{
	struct bpf_sock_tuple tuple = {};
	struct packet *pkt = &s->pkt;
	__u32 size = pkt->family == 4 ? sizeof(tuple.ipv4) : sizeof(tuple.ipv6);
	struct socket_owner *owner;
	struct bpf_sock *sk;
	int is_foreign;

	set_tuple(&tuple, pkt);
	sk = bpf_sk_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0; /* the call fails by itself, or is judged by its packet */
	owner = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	is_foreign = !owner || !is_owned_by(owner, s->policy);
	bpf_sk_release(sk);
	return is_foreign;
}

static __always_inline int judge_call(struct bpf_sock_addr *ctx, struct scratch *s,
				      struct control *c, struct subject *subject, __u64 netns_cookie,
				      int family)
{
	begin(s, c, subject->policy);
	if (!is_in_force(s))
		return CGROUP_PASS;
	set_called(s, ctx, family);
	s->ifindex = 0;
	s->socket_cookie = bpf_get_socket_cookie(ctx);
	s->asks_home = netns_cookie == subject->netns_cookie;
	if (goes_to_resolver(s, c))
		return CGROUP_PASS; /* by the names in it */
	if (is_own_address(&s->pkt.destination)) { /* the packet shows who listens */
		if (subject->flags & SUBJECT_OWN_NETNS && s->asks_home)
			return CGROUP_PASS;
		if (!is_foreign_server(s, ctx))
			return CGROUP_PASS;
	}
	judge_rules(s->area);
	if (s->result.verdict != VERDICT_DENY)
		return CGROUP_PASS;
	return tell_denial(s) ? CGROUP_DROP : CGROUP_PASS;
}

/* TCP: connect() fails at once. UDP is judged when it sends: programs connect such a socket without sending, to
 * see what source address they would have.
 */
static __always_inline int call_from_subject(struct bpf_sock_addr *ctx, int family)
{
	struct subject *subject = bpf_get_local_storage(&subjects, 0);
	struct control *c = get_control();
	__u64 netns_cookie;
	struct scratch *s;
	int verdict;

	if (!subject->policy)
		return CGROUP_PASS;
	note_process(ctx);
	netns_cookie = bpf_get_netns_cookie(ctx);
	if (ctx->sk)
		own_socket(ctx->sk, netns_cookie, subject);
	if (ctx->protocol != IPPROTO_TCP)
		return CGROUP_PASS;
	s = take_scratch();
	if (!c || !s)
		return CGROUP_DROP;
	verdict = judge_call(ctx, s, c, subject, netns_cookie, family);
	give_scratch_back(s);
	return verdict;
}

static __always_inline int send_from_subject(struct bpf_sock_addr *ctx)
{
	struct subject *subject = bpf_get_local_storage(&subjects, 0);

	if (subject->policy) {
		note_process(ctx);
		if (ctx->sk)
			own_socket(ctx->sk, bpf_get_netns_cookie(ctx), subject);
	}
	return CGROUP_PASS;
}

static __always_inline int make_socket(struct bpf_sock *ctx)
{
	struct subject *subject = bpf_get_local_storage(&subjects, 0);

	if (subject->policy)
		own_socket(ctx, bpf_get_netns_cookie(ctx), subject);
	return CGROUP_PASS;
}

#endif
