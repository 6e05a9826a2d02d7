/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The records of an answer: a flat state machine, one step a label, byte or record, state in the scratch area. */
#ifndef L7EGG_RECORDS_H
#define L7EGG_RECORDS_H

#include "dns.h"

#define ANSWER_STEPS 4096
#define RECORD_HEADER 10 /* type, class, TTL, rdata length */

enum phase {
	PHASE_RECORD, /* at the owner name of the next record, or at the end */
	PHASE_LABEL,
	PHASE_BYTE,
	PHASE_OWNER_DONE,
	PHASE_TARGET_DONE,
	PHASE_DONE,
	PHASE_MALFORMED,
};

struct answer_walk {
	struct scratch *s;
	struct control *c;
};

static __always_inline void start_name(struct scratch *s, __u32 at, __u32 after)
{
	s->at = at;
	s->segment_start = at;
	s->wire_end = 0;
	s->walked_length = 0;
	s->after_name = after;
	s->phase = PHASE_LABEL;
}

/* Where the name just walked ends in its own place. */
static __always_inline __u32 name_end(struct scratch *s)
{
	return s->wire_end ? s->wire_end : s->at;
}

static __always_inline void step_label(struct scratch *s, struct control *c)
{
	__u32 at = s->at;
	__u8 byte;

	if (at >= s->length) {
		s->phase = PHASE_MALFORMED;
		return;
	}
	byte = message_u8(s, at);
	if (byte >= 0xc0) {
		__u32 target = (byte & 0x3f) << 8 | message_u8(s, at + 1);

		/* Strictly backwards, so no loop; never into the header. */
		if (at + 2 > s->length || target < DNS_HEADER || target >= s->segment_start) {
			s->phase = PHASE_MALFORMED;
			return;
		}
		if (!s->wire_end)
			s->wire_end = at + 2;
		s->at = target;
		s->segment_start = target;
		return;
	}
	if (byte > MAX_LABEL) {
		s->phase = PHASE_MALFORMED;
		return;
	}
	s->walked_hash = hash_byte(s->walked_hash, c->hash_seed, byte);
	s->walked_length += byte + 1;
	s->at = at + 1;
	if (s->walked_length > MAX_NAME) {
		s->phase = PHASE_MALFORMED;
		return;
	}
	if (byte == 0) {
		s->phase = s->after_name;
		return;
	}
	s->label_left = byte;
	s->phase = PHASE_BYTE;
}

static __always_inline void step_byte(struct scratch *s, struct control *c)
{
	__u32 at = s->at;
	__u8 byte;

	if (at >= s->length) {
		s->phase = PHASE_MALFORMED;
		return;
	}
	byte = message_u8(s, at);
	if (byte == '.' || byte == 0) {
		s->phase = PHASE_MALFORMED;
		return;
	}
	s->walked_hash = hash_byte(s->walked_hash, c->hash_seed, lower(byte));
	s->at = at + 1;
	if (--s->label_left == 0)
		s->phase = PHASE_LABEL;
}

static __always_inline void collect(struct scratch *s, __u32 at, __u32 ttl_seconds, int is_ipv6)
{
	struct collected *collected;
	__u32 n = s->n_collected;

	if (n >= MAX_COLLECTED)
		return;
	opaque(n);
	n &= MAX_COLLECTED - 1;
	opaque(at);
	at &= MESSAGE_MASK;
	collected = &s->collected[n];
	if (is_ipv6) {
		__builtin_memcpy(&collected->addr, s->message + at, 16);
		/* ::ffff/96 is inward, and no rule can cover it: such packets never pass. */
		if (is_ipv4(&collected->addr)) {
			count(COUNT_INWARD);
			return;
		}
	} else {
		__u32 v4_be;

		__builtin_memcpy(&v4_be, s->message + at, 4);
		set_ipv4(&collected->addr, v4_be);
	}
	collected->ttl_seconds = ttl_seconds;
	s->n_collected = n + 1;
}

static __always_inline void step_owner_done(struct scratch *s, struct control *c)
{
	__u32 at = name_end(s), rdata = at + RECORD_HEADER;
	__u16 rtype, rclass, rdata_length;
	__u32 ttl;

	if (rdata > s->length) {
		s->phase = PHASE_MALFORMED;
		return;
	}
	rtype = message_u16(s, at);
	rclass = message_u16(s, at + 2);
	ttl = message_u32(s, at + 4);
	rdata_length = message_u16(s, at + 8);
	s->record_start = rdata + rdata_length;
	if (s->record_start > s->length) {
		s->phase = PHASE_MALFORMED;
		return;
	}
	s->phase = PHASE_RECORD;
	if (rclass != DNS_CLASS_IN)
		return;
	if ((rtype == TYPE_A && rdata_length != 4) || (rtype == TYPE_AAAA && rdata_length != 16)) {
		s->phase = PHASE_MALFORMED;
		return;
	}
	if (!s->is_answer)
		return;
	if (rtype == TYPE_HTTPS || rtype == TYPE_SVCB)
		s->has_hints = 1;
	if (s->walked_hash != s->chain_hash)
		return;
	if (rtype == TYPE_A || rtype == TYPE_AAAA) {
		collect(s, rdata, ttl, rtype == TYPE_AAAA);
	} else if (rtype == TYPE_CNAME) {
		s->cname_ttl = ttl;
		s->rdata_end = s->record_start;
		s->chain_offset = rdata;
		s->walked_hash = HASH_START;
		start_name(s, rdata, PHASE_TARGET_DONE);
	}
}

/* The next record, or the end, which must be the end of the message. */
static __always_inline void step_record(struct scratch *s, struct control *c)
{
	s->is_answer = s->answers_left > 0;
	if (s->answers_left) {
		s->answers_left--;
	} else if (s->others_left) {
		s->others_left--;
	} else {
		s->phase = s->record_start == s->length ? PHASE_DONE : PHASE_MALFORMED;
		return;
	}
	/* A bare pointer to the end of the chain: what nearly every owner is. */
	if (message_u16(s, s->record_start) == (0xc000 | s->chain_offset)) {
		s->walked_hash = s->chain_hash;
		s->wire_end = s->record_start + 2;
		step_owner_done(s, c);
		return;
	}
	s->walked_hash = HASH_START;
	start_name(s, s->record_start, PHASE_OWNER_DONE);
}

static __always_inline void step_target_done(struct scratch *s)
{
	__u32 n = s->n_chain;

	s->phase = PHASE_MALFORMED;
	if (name_end(s) != s->rdata_end || n >= MAX_CHAIN)
		return;
	for (int i = 0; i < MAX_CHAIN; i++)
		if (i < n && s->chain[i] == s->walked_hash)
			return; /* a loop */
	opaque(n);
	n &= MAX_CHAIN - 1;
	s->chain[n] = s->walked_hash;
	s->chain_lengths[n] = s->walked_length;
	s->chain_ttls[n] = s->cname_ttl;
	s->n_chain = n + 1;
	s->chain_hash = s->walked_hash;
	s->phase = PHASE_RECORD;
}

static long answer_step(__u32 round, struct answer_walk *walk)
{
	struct scratch *s = walk->s;

	switch (s->phase) {
	case PHASE_RECORD:
		step_record(s, walk->c);
		break;
	case PHASE_LABEL:
		step_label(s, walk->c);
		break;
	case PHASE_BYTE:
		step_byte(s, walk->c);
		break;
	case PHASE_OWNER_DONE:
		step_owner_done(s, walk->c);
		break;
	case PHASE_TARGET_DONE:
		step_target_done(s);
		break;
	}
	return s->phase == PHASE_DONE || s->phase == PHASE_MALFORMED;
}

/* Parses the records behind the question. One of PHASE_DONE, PHASE_MALFORMED, or, out of steps,
 * another.
 */
static __always_inline __u32 parse_answer(struct scratch *s, struct control *c)
{
	struct answer_walk walk = { .s = s, .c = c };

	s->answers_left = message_u16(s, 6);
	s->others_left = message_u16(s, 8) + message_u16(s, 10);
	s->record_start = s->question_end;
	s->chain_offset = DNS_HEADER;
	s->chain_hash = s->name_hash;
	s->chain[0] = s->name_hash;
	s->chain_lengths[0] = s->name_length;
	s->n_chain = 1;
	s->has_hints = 0;
	s->n_collected = 0;
	s->phase = PHASE_RECORD;
	bpf_loop(ANSWER_STEPS, answer_step, &walk, 0);
	return s->phase;
}

#endif
