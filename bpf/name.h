/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Names: reading the question, and what the policy says of a name. */
#ifndef L7EGG_NAME_H
#define L7EGG_NAME_H

#include "scratch.h"

#define MAX_LABEL 63
#define MAX_LABELS 128
#define PATTERN_STEPS 4096
#define HASH_FIELD 0x7fffffffULL /* 2^31 - 1, a prime */
#define HASH_START 0x100000001ULL

static __always_inline __u8 lower(__u8 c)
{
	return c - 'A' < 26u ? c | 0x20 : c;
}

/* One half: the text as a polynomial at a secret point of the field. */
static __always_inline __u64 hash_half(__u64 half, __u64 point, __u8 byte)
{
	half = half * (point & HASH_FIELD) + byte + 1;
	half = (half & HASH_FIELD) + (half >> 31);
	return (half & HASH_FIELD) + (half >> 31);
}

/* Two such halves. Two texts of 255 bytes collide for at most one seed in 2^46, whoever chose them: FNV and
 * its like collide for half the seeds that share a byte.
 */
static __always_inline __u64 hash_byte(__u64 hash, __u64 seed, __u8 byte)
{
	return hash_half(hash >> 32, seed >> 32, byte) << 32 |
	       hash_half(hash & 0xffffffff, seed & 0xffffffff, byte);
}

#define NAME_PART 8

/* Takes NAME_PART bytes of the question's name from `from` on: text, reversed text and hash. A function of
 * its own, so that the verifier walks through eight bytes, not through each of 255. 0 = a label with a dot
 * or a NUL inside.
 */
__noinline int read_name_part(__u32 area, __u32 from)
{
	struct scratch *s = get_scratch(area);
	struct control *c = get_control();
	__u32 length, i, index;
	__u64 hash;
	__u8 byte;

	if (!s || !c)
		return 0;
	length = s->name_length;
	hash = s->name_hash;
	for (__u32 n = 0; n < NAME_PART; n++) {
		i = from + n;
		if (i >= length)
			break;
		opaque(i);
		i &= 255;
		byte = message_u8(s, DNS_HEADER + i);
		if (i == s->name_next_label) {
			s->name_next_label = i + 1 + byte;
			s->event.name[i] = byte;
			hash = hash_byte(hash, c->hash_seed, byte);
			byte = byte ? '.' : 0;
		} else {
			if (byte == '.' || byte == 0)
				return 0;
			byte = lower(byte);
			s->event.name[i] = byte;
			hash = hash_byte(hash, c->hash_seed, byte);
		}
		/* The first length byte has no dot; the root byte is the terminator. */
		if (i == 0)
			continue;
		index = i == length - 1 ? i - 1 : length - 2 - i;
		opaque(index);
		index &= 255;
		if (index >= sizeof(s->name_key.reversed))
			return 0;
		s->name_key.reversed[index] = byte;
	}
	s->name_hash = hash;
	return 1;
}

/* Reads the question at offset 12 into the name, key, name_hash, qtype and qclass of the scratch area.
 * 0 = not a name we take: compressed, longer than the message or RFC 1035 allows, or a label with a
 * dot or a NUL inside, which could pass for another suffix once it is text.
 */
__noinline int read_question(__u32 area)
{
	struct scratch *s = get_scratch(area);
	__u32 length = 0, label, i;

	if (!s)
		return 0;
	s->name_length = 0;
	for (i = 0; i < MAX_LABELS; i++) {
		label = message_u8(s, DNS_HEADER + length);
		if (label == 0)
			break;
		if (label > MAX_LABEL)
			return 0;
		length += label + 1;
		if (length > MAX_NAME - 1)
			return 0;
	}
	if (i == MAX_LABELS)
		return 0;
	length += 1;
	if (DNS_HEADER + length + 4 > s->length)
		return 0;
	s->name_length = length;
	s->name_hash = HASH_START;
	s->name_next_label = 0;
	for (i = 0; i < MAX_NAME; i += NAME_PART) {
		if (i >= s->name_length)
			break;
		if (!read_name_part(s->area, i)) {
			s->name_length = 0;
			return 0;
		}
	}
	if (s->name_length == 1) /* the root itself */
		s->name_key.reversed[0] = 0;
	s->qtype = message_u16(s, DNS_HEADER + s->name_length);
	s->qclass = message_u16(s, DNS_HEADER + s->name_length + 2);
	s->question_end = DNS_HEADER + s->name_length + 4;
	return 1;
}

/* Whether the name of the message's question is this one, byte for byte. Copies it to the event. */
__noinline int has_name(__u32 area, struct pending *asked)
{
	struct scratch *s = get_scratch(area);
	__u32 length;

	if (!s || !asked)
		return 0;
	length = asked->name_length;
	for (__u32 i = 0; i < sizeof(asked->name); i += 8) {
		__u64 theirs, ours = *(__u64 *)(asked->name + i), differing;

		if (i >= length)
			break;
		theirs = *(__u64 *)(s->message + DNS_HEADER + i);
		differing = theirs ^ ours;
		if (length - i < 8) /* what follows the name is not its own */
			differing = bpf_be64_to_cpu(differing) >> (8 - (length - i)) * 8;
		if (differing)
			return 0;
		*(__u64 *)(s->event.name + i) = ours;
	}
	return 1;
}

/* Whether the message repeats this question byte for byte, as most answers do: then it was judged when it
 * was asked. Fills what read_question would, but for the key of the trie. 0 = it may differ in case only.
 */
static __always_inline int repeats_question(struct scratch *s, struct pending *asked)
{
	__u32 length = asked->name_length;

	if (DNS_HEADER + length + 4 > s->length || !has_name(s->area, asked))
		return 0;
	s->name_length = length;
	s->name_hash = asked->name_hash;
	s->qtype = message_u16(s, DNS_HEADER + length);
	s->qclass = message_u16(s, DNS_HEADER + length + 2);
	s->question_end = DNS_HEADER + length + 4;
	return 1;
}

static __always_inline void add_rule(struct scratch *s, __u32 rule)
{
	__u32 n = s->n_rules;

	if (n >= MAX_HELD)
		return;
	opaque(n);
	n &= MAX_HELD - 1;
	s->rules[n] = rule;
	s->n_rules = n + 1;
}

struct pattern_walk {
	struct scratch *s;
	void *patterns;
};

/* One step of matching the reversed name against one candidate; '*' stays within a label. */
static long pattern_step(__u32 round, struct pattern_walk *walk)
{
	struct scratch *s = walk->s;
	__u32 index, length;
	__u8 p, n;

	if (!s->pattern_loaded) {
		index = s->candidate;
		if (index >= MAX_PATTERNS)
			return 1;
		opaque(index);
		index &= MAX_PATTERNS - 1;
		__u32 key = s->candidates[index];

		if (!key)
			return 1;
		struct pattern *found = bpf_map_lookup_elem(walk->patterns, &key);

		if (!found) {
			s->candidate++;
			return 0;
		}
		__builtin_memcpy(&s->pattern, found, sizeof(s->pattern));
		s->pattern_loaded = 1;
		s->at_pattern = 0;
		s->at_name = 0;
		s->has_star = 0;
		return 0;
	}
	/* Text length: wire length less the first length byte and the root. */
	length = s->name_length - 2;
	index = s->at_pattern;
	p = 0;
	if (index < s->pattern.length) {
		opaque(index);
		index &= 255;
		p = s->pattern.reversed[index];
	}
	if (p == '*') {
		s->has_star = 1;
		s->star_pattern = s->at_pattern;
		s->star_name = s->at_name;
		s->at_pattern++;
		return 0;
	}
	if (s->at_pattern >= s->pattern.length &&
	    (s->pattern.deep ? s->at_name < length : s->at_name >= length)) {
		if (s->pattern.effect == PATTERN_DENY)
			s->deny_rule = s->pattern.rule;
		else if (s->pattern.effect == PATTERN_LOOKUP)
			s->is_lookup = 1;
		else
			add_rule(s, s->pattern.rule);
		goto next;
	}
	/* The name is used up: a later star position leaves even less. */
	if (s->at_name >= length)
		goto next;
	index = s->at_name;
	opaque(index);
	index &= 255;
	if (index >= sizeof(s->name_key.reversed))
		goto next;
	n = s->name_key.reversed[index];
	if (s->at_pattern < s->pattern.length && p == n) {
		s->at_pattern++;
		s->at_name++;
		return 0;
	}
	if (!s->has_star)
		goto next;
	index = s->star_name;
	if (index >= length)
		goto next;
	opaque(index);
	index &= 255;
	if (index >= sizeof(s->name_key.reversed))
		goto next;
	if (s->name_key.reversed[index] == '.')
		goto next;
	s->star_name++;
	s->at_name = s->star_name;
	s->at_pattern = s->star_pattern + 1;
	return 0;
next:
	s->pattern_loaded = 0;
	s->candidate++;
	return 0;
}

/* What the policy of this slot says of the name just read: rules, deny_rule, is_ancestor, is_exact, is_lookup,
 * is_listed. A name learned as a CNAME target is listed by the rules of its lease.
 */
__noinline int match_name(__u32 area)
{
	struct scratch *s = get_scratch(area);
	struct name_rules *found;
	void *inner;
	__u32 i;

	if (!s)
		return 0;
	s->n_rules = 0;
	s->deny_rule = 0;
	s->is_ancestor = 0;
	s->is_exact = 0;
	s->is_lookup = 0;
	s->is_listed = 0;
	inner = policy_map(&names, s->slot);
	if (inner) {
		/* Policy, then the reversed text with its terminator. */
		__u32 text = s->name_length > 1 ? s->name_length - 1 : 1;

		s->name_key.policy = s->policy;
		s->name_key.prefix_bits = 16 + text * 8;
		found = bpf_map_lookup_elem(inner, &s->name_key);
		if (found) {
			s->deny_rule = found->deny_rule;
			s->is_ancestor = found->flags & NAME_ANCESTOR;
			s->is_exact = found->flags & NAME_EXACT;
			s->is_lookup = found->flags & NAME_LOOKUP;
			for (i = 0; i < MAX_HELD; i++)
				if (found->rules[i])
					add_rule(s, found->rules[i]);
			if (found->patterns[0] && s->name_length > 2) {
				struct pattern_walk walk = { .s = s };

				__builtin_memcpy(s->candidates, found->patterns,
						 sizeof(s->candidates));
				s->candidate = 0;
				s->pattern_loaded = 0;
				walk.patterns = policy_map(&patterns, s->slot);
				/* Out of steps: what was not tried may deny, so the lookup is refused. */
				if (walk.patterns && bpf_loop(PATTERN_STEPS, pattern_step, &walk,
							      0) == PATTERN_STEPS)
					s->deny_rule = s->pattern.rule;
			}
		}
	}
	if (!s->n_rules) {
		struct alias_key key = { .name_hash = s->name_hash,
					 .policy = s->policy,
					 .name_length = s->name_length };
		struct alias *alias = bpf_map_lookup_elem(&aliases, &key);

		if (alias) {
			__u32 now = boot_seconds(s);

			for (i = 0; i < MAX_HELD; i++) {
				__u64 held = alias->held[i];

				/* A withdrawn rule lists nothing. */
				if (held && (__u32)held > now && find_rule(s->slot, held >> 32))
					add_rule(s, held >> 32);
			}
		}
	}
	s->is_listed = s->n_rules > 0;
	return 1;
}

#endif
