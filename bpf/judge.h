/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the rules say of a destination: deny, then allow and port, then drop. */
#ifndef L7EGG_JUDGE_H
#define L7EGG_JUDGE_H

#include "answer.h"

enum cover {
	COVERS_NOT,
	COVERS,
	COVERS_AUDIT, /* passes, and is reported */
};

/* Whether the rule is in force and names protocol and port of the scratch packet: an enum cover. */
__noinline int rule_covers(__u32 area, __u32 rule_id)
{
	struct scratch *s = get_scratch(area);
	struct packet *pkt;
	struct rule *rule;
	int covers;
	__u16 port;

	if (!s)
		return 0;
	pkt = &s->pkt;
	rule = find_rule(s->slot, rule_id);
	if (!rule)
		return 0;
	/* ICMP has types where others have ports. */
	port = pkt->l4_proto == IPPROTO_ICMP || pkt->l4_proto == IPPROTO_ICMPV6 ?
		       pkt->icmp_type :
		       bpf_ntohs(pkt->destination_port_be);
	covers = rule->flags & RULE_AUDIT ? COVERS_AUDIT : COVERS;
	if (rule->n_ports == 0)
		return covers;
	for (int i = 0; i < MAX_PORTS; i++) {
		struct port_range *range = &rule->ports[i];

		if (i >= rule->n_ports)
			break;
		if (range->l4_proto && range->l4_proto != pkt->l4_proto)
			continue;
		if (port >= range->low && port <= range->high)
			return covers;
	}
	return COVERS_NOT;
}

/* The first rule of the set that covers the scratch packet, 0 = none; audit rules are only noted. */
__noinline int find_in_set(__u32 area, __u32 set_id)
{
	struct scratch *s = get_scratch(area);
	struct rule_set *set;
	void *inner;

	if (!s)
		return 0;
	inner = policy_map(&sets, s->slot);
	set = inner ? bpf_map_lookup_elem(inner, &set_id) : NULL;
	if (!set)
		return 0;
	for (int i = 0; i < MAX_COVERING; i++) {
		__u32 rule = set->rules[i];
		int covers;

		if (!rule)
			break;
		covers = rule_covers(s->area, rule);
		if (covers == COVERS)
			return rule;
		if (covers == COVERS_AUDIT)
			s->audit_rule = rule;
	}
	return 0;
}

/* What nothing allows passes where an audit rule covers it. */
static __always_inline int settle_audit(struct scratch *s)
{
	if (s->audit_rule) {
		s->result.rule = s->audit_rule;
		s->result.verdict = VERDICT_WOULD_DENY;
		s->result.reason = REASON_AUDIT;
	}
	return 1;
}

/* Judges the destination of the scratch packet anew, by rules and leases only, into s->result. */
__noinline int judge_rules(__u32 area)
{
	struct scratch *s = get_scratch(area);
	struct verdict_result *result;
	struct addr_rules *found;
	struct host_key key = {};
	struct leases *leases;
	__u32 now, rule;
	int covers;

	if (!s)
		return 0;
	result = &s->result;
	key.policy = s->policy;
	found = find_prefix(s->slot, s->policy, &s->pkt.destination);
	result->verdict = VERDICT_DENY;
	result->reason = REASON_NO_RULE;
	result->rule = 0;
	s->audit_rule = 0;
	if (found) {
		if (found->deny_set) {
			rule = find_in_set(s->area, found->deny_set);
			if (rule) {
				result->rule = rule;
				result->reason = REASON_DENY_CIDR;
				return 1;
			}
		}
		if (found->allow_set) {
			rule = find_in_set(s->area, found->allow_set);
			if (rule) {
				result->rule = rule;
				result->verdict = VERDICT_ALLOW;
				result->reason = REASON_RULE_CIDR;
				return 1;
			}
			result->reason = REASON_PORT;
		}
	}
	copy_addr(&key.addr, &s->pkt.destination);
	leases = bpf_map_lookup_elem(&learned, &key);
	if (!leases)
		return settle_audit(s);
	now = boot_seconds(s);
	for (int i = 0; i < MAX_HELD; i++) {
		__u64 held = leases->held[i];

		rule = held >> 32;
		if (!rule)
			continue;
		if ((__u32)held <= now) {
			if (result->reason == REASON_NO_RULE)
				result->reason = REASON_LEASE_ENDED;
			continue;
		}
		covers = rule_covers(s->area, rule);
		if (covers == COVERS) {
			result->rule = rule;
			result->verdict = VERDICT_ALLOW;
			result->reason = REASON_RULE_NAME;
			return 1;
		}
		if (covers == COVERS_AUDIT)
			s->audit_rule = rule;
		else if (find_rule(s->slot, rule))
			result->reason = REASON_PORT;
	}
	return settle_audit(s);
}

#endif
