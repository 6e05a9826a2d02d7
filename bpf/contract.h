/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The contract between the kernel programs and src/datapath/layout.ts.
 *
 * Byte order: fields that end in _be and every address are in network order,
 * all others in host order. An address is always 16 bytes: IPv4 as
 * ::ffff:a.b.c.d. Packets that carry such an address in an IPv6 header are
 * refused before any look-up, so the two can't be confused.
 * Numbers of events, verdicts and reasons are never reused.
 * tools/abi-check.ts holds the mirror against the BTF of the built object.
 */
#ifndef L7EGG_CONTRACT_H
#define L7EGG_CONTRACT_H

/* Stored with the pins. Raised when a kept map changes its shape. */
#define LAYOUT_VERSION 4

#define MAX_RULES 131072 /* of one policy; those of the one before it still have their counters */
#define MAX_FLOWS 262144
#define MAX_INBOUND 65536
#define MAX_LEASE_ADDRS 135168 /* more than records: a new one is entered before the one it replaces goes */
#define MAX_LEASE_RECORDS 131072 /* of one policy */
#define MAX_PENDING 16384
#define MAX_OBSERVED 8192
#define MAX_ALIASES 16384
#define MAX_PROCS 16384
#define MAX_PROGRAMS 4096
#define MAX_CGROUP_PATHS 4096
#define MAX_SERIES 8192
#define MAX_FRAGMENTS 4096
#define MAX_DNS_STREAMS 4096
#define MAX_INTERFACES 1024
#define MAX_SUBJECTS 1024
#define MAX_LEVELS 8
#define MAX_NESTING 4 /* subjects within each other that a socket remembers */
#define RING_BYTES (1 << 20)

#define MAX_NAME 255	   /* wire bytes, RFC 1035 2.3.4, root label included */
#define MAX_DNS_MESSAGE 4096 /* larger answers are left to user space */
#define MAX_HELD 8	   /* rules that may hold one name, or have a lease on one address */
#define MAX_COVERING 32	   /* rules of one effect whose prefixes may cover one address */
#define MAX_PATTERNS 8	   /* patterns tried for one name */
#define MAX_PORTS 16	   /* port ranges of one rule */
#define PATTERN_BYTES 256
#define PATH_BYTES 256 /* of a program or cgroup: of a longer one the end is kept */

struct addr {
	union {
		__u8 bytes[16];
		__u32 words_be[4];
		__u64 halves_be[2];
	};
};

/* ---- policy: inner maps of a slot, fresh at each swap ---- */

/* Reversed lower-case name: "moc.baltig." is the suffix ".gitlab.com"; an exact
 * name ends with a zero byte. prefix_bits counts policy and name.
 */
struct name_key {
	__u32 prefix_bits;
	__u16 policy;
	__u8 reversed[MAX_NAME - 1];
};

/* Holds what all shorter entries that also match hold: only the longest is found. */
struct name_rules {
	__u32 rules[MAX_HELD]; /* 0 = none; rule ids of entries that match as they are */
	__u32 patterns[MAX_PATTERNS]; /* index + 1 in the pattern map; 0 = none */
	__u32 deny_rule; /* id of the deny-name rule that matches; 0 = none */
	__u32 flags; /* NAME_* */
};
#define NAME_ANCESTOR 1 /* is on the way to a listed name (strict DNS, NS/DS/...) */
#define NAME_EXACT 2 /* a rule speaks of this very name, and does not deny it */
#define NAME_LOOKUP 4 /* may be looked up under strict DNS, and teaches nothing */

/* One pattern, reversed and lower-case; '*' = zero or more bytes of one label. */
struct pattern {
	__u32 rule;
	__u8 effect; /* PATTERN_* */
	__u8 deep; /* 1: one or more labels may stand before what is in reversed */
	__u16 length; /* bytes used in reversed */
	__u8 reversed[PATTERN_BYTES];
};
#define PATTERN_ALLOW 0
#define PATTERN_DENY 1
#define PATTERN_LOOKUP 2

/* prefix_bits counts policy, pad and address: 32 + bits of the prefix (+96 for v4). */
struct prefix_key {
	__u32 prefix_bits;
	__u16 policy;
	__u16 pad;
	struct addr addr;
};

struct host_key {
	struct addr addr;
	__u16 policy;
	__u16 pad[3];
};

/* What covers an address, longer prefixes include what shorter ones have. */
struct addr_rules {
	__u32 allow_set; /* key in the sets map; 0 = none */
	__u32 deny_set;
};

struct rule_set {
	__u32 rules[MAX_COVERING]; /* 0 = none */
};

/* l4_proto 0 = every protocol. For ICMP low..high are types, else ports. */
struct port_range {
	__u16 low;
	__u16 high;
	__u8 l4_proto;
	__u8 pad[3];
};

struct rule {
	__u32 ring_base; /* share of lease_ring: first record */
	__u32 ring_length; /* 0: rule never takes leases */
	__u32 n_ports; /* 0 = every protocol and port */
	__u32 flags; /* RULE_* */
	struct port_range ports[MAX_PORTS];
};
#define RULE_PRIVATE_ANSWERS 1 /* inward answers may be learned */
#define RULE_AUDIT 2 /* lets pass what nothing else allows, and reports it as what would be refused */

struct resolver_key {
	struct addr addr;
	__u16 port_be; /* 0 = any, of subjects and on loopback only */
	__u16 policy;
	__u32 pad;
};

struct policy {
	__u32 flags; /* POLICY_* */
	__u32 pad;
};
#define POLICY_STRICT_DNS 1
#define POLICY_AUDIT 2
#define POLICY_DENY_NAMES 4 /* some deny-name rule exists */
#define POLICY_LIMIT_INBOUND 8 /* the rule INBOUND_RULES + policy names the local ports */
#define POLICY_NO_INBOUND 16 /* nobody outside is answered */
#define INBOUND_RULES 0xffff0000

#define HOST_POLICY 1 /* of all behind the interfaces that are controlled */

/* ---- subjects: whom a policy is for, when not all behind an interface ---- */

/* Kept by the kernel with each cgroup that our programs are attached to. */
struct subject {
	__u32 policy; /* 0 = not in force yet */
	__u32 flags; /* SUBJECT_* */
	__u64 netns_cookie; /* only there answers teach */
	__u32 priority; /* class of the queue that its packets go into (skb->priority); 0 = as it is */
	__u32 level; /* depth of the cgroup in the tree */
	__u64 cgroup_id;
	__u32 nesting; /* subjects whose cgroups it lies in, modulo MAX_NESTING */
	__u32 pad;
};
#define SUBJECT_OWN_NETNS 1 /* the namespace is the subject's alone: so is its loopback */

/* What a socket was made by, as far as we saw it made: a subject, and those that it lies in, each at its nesting. */
struct socket_owner {
	__u64 netns_cookie;
	__u32 policies[MAX_NESTING];
};

/* ---- state: kept over reload and restart ---- */

struct slot {
	__u32 epoch; /* never 0, different for every swap */
	__u32 pad;
	__u16 dns_ports_be[4]; /* ports of the trusted resolvers; 0 = none */
};

struct control {
	__u32 layout;
	__u32 active; /* slot index, 0 or 1 */
	struct slot slots[2];
	__u64 netns_cookie;
	__u64 hash_seed;
	__u32 next_rule_id;
	__u32 ready; /* 1 once the first verdict program was attached */
	__u8 subject_levels[MAX_LEVELS]; /* depths in the cgroup tree at which subjects are; 0 = none */
	/* Coarse monotonic clock: until then an interface may see packets of subjects that their hooks did not judge. */
	__u64 unjudged_until_ns;
};

struct flow_key {
	struct addr local; /* source of the outbound packet */
	struct addr remote;
	__u16 local_port_be; /* ICMP echo: identifier, remote 0 */
	__u16 remote_port_be;
	__u16 policy;
	__u8 l4_proto;
	__u8 pad;
};

struct flow {
	__u64 seen_ns; /* coarse monotonic clock; kept for UDP, ICMP and after FIN */
	__u32 rule;
	__u32 epoch; /* of the slot in which the rule was last found */
	__u32 flags; /* FLOW_* */
	__u32 checked_jiffies; /* tick in which it was last found not to be idle */
	__u64 bytes; /* of payload; later fragments are of no flow */
	__u64 packets;
	__u64 socket_cookie; /* that sent the first packet; 0 = none of this host */
	__u32 ifindex; /* by which the first packet left; 0 = means nothing to user space */
	__u32 pad;
};
#define FLOW_FIN 1 /* local end has closed; idle limit applies */
#define FLOW_OF_SOCKET 2 /* TCP of this host: its socket knows what it carried, and tells its end */
#define FLOW_TOLD 4 /* its end was told */

/* A socket's own flow; compared in full, the socket may have moved on. */
struct socket_flow {
	struct flow_key key;
	__u32 epoch; /* of the slot in which its rule was last found */
	__u32 inbound; /* 1: somebody outside began it, whatever the rules say */
	__u32 rule; /* that allowed it; of an outbound one */
	__u32 ifindex; /* as in struct flow */
};

struct inbound {
	__u64 seen_ns;
};

/* Learned addresses. held: rule id << 32 | end of lease in boot-time seconds. */
struct leases {
	struct bpf_spin_lock lock; /* writers only; a reader reads whole held[i] */
	__u32 dead; /* 1: about to be deleted, writers insert anew */
	__u32 told_name; /* hash of the name that was last told with this address */
	__u32 told_seconds; /* when, boot time */
	__u64 held[MAX_HELD];
};

/* One record per (address, rule) lease; the share of a rule is a ring of them. The shares of a policy lie in one
 * half of lease_ring: when they move, user space copies the records into the other before the swap.
 */
struct lease_record {
	struct addr addr;
	__u32 rule;
	__u16 policy;
	__u16 pad;
};

struct rule_state {
	__u64 next_record; /* position in the share */
	__u64 allowed; /* new flows */
	__u64 refused; /* by this rule (deny) */
	__u64 learned; /* new leases */
	__u64 evicted; /* leases that gave way to newer ones of the same rule */
};

struct pending_key {
	struct addr client;
	struct addr resolver;
	__u16 client_port_be;
	__u16 resolver_port_be;
	__u16 query_id_be;
	__u16 policy;
	__u8 l4_proto;
	__u8 pad[7];
};

struct pending {
	__u64 asked_boot_ns;
	__u64 name_hash;
	__u64 socket_cookie; /* of who asked */
	__u32 epoch; /* of the slot in which rules were looked up */
	__u16 qtype;
	__u16 name_length; /* wire bytes in name */
	__u32 rules[MAX_HELD];
	__u8 name[256]; /* lower-case wire form */
};

struct dns_stream_key {
	struct addr client;
	struct addr resolver;
	__u16 client_port_be;
	__u16 resolver_port_be;
	__u32 pad;
};

/* The next sequence number the client expects from the resolver. */
struct dns_stream {
	__u32 next_sequence;
	__u32 pad;
};

/* A name learned as a CNAME target of a listed one. */
struct alias_key {
	__u64 name_hash;
	__u16 policy;
	__u16 name_length;
	__u32 pad;
};

struct alias {
	__u64 held[MAX_HELD]; /* as in struct leases */
};

struct fragment_key {
	struct addr local;
	struct addr remote;
	__u32 id; /* as on the wire */
	__u16 policy;
	__u8 l4_proto;
	__u8 pad;
};

struct fragment {
	__u64 seen_ns;
};

/* On-link prefixes: an address of the interface with its prefix length. */
struct onlink_key {
	__u32 prefix_bits; /* 32 + bits */
	__u32 ifindex;
	struct addr addr;
};

/* A DHCP server that answered on this interface. */
struct dhcp_key {
	struct addr server;
	__u32 ifindex;
	__u32 pad;
};

struct proc {
	__u32 pid; /* thread group id */
	__u32 uid;
	__u8 comm[16];
	__u64 started_ns; /* boot time at which the process began; with pid and exec_id the key of its program */
	__u64 cgroup_id;
	__u32 exec_id; /* goes up by one with each exec() */
	__u32 pad;
};

/* What a process executes, for as long as it does. */
struct program_key {
	__u64 started_ns;
	__u32 pid;
	__u32 exec_id;
};

/* A path, from its root on; it lies at the end of `bytes`. */
struct kernel_path {
	__u32 length; /* 0 = not known */
	__u32 is_cut; /* there was more in front */
	__u8 bytes[PATH_BYTES];
};

/* Offsets in bytes in the types of this kernel, from its BTF; set when the programs are loaded. */
struct kernel_types {
	__u32 is_known; /* 0: the kernel tells none, and neither programs nor cgroups have paths */
	__u32 task_leader;
	__u32 task_started;
	__u32 task_exec_id;
	__u32 task_mm;
	__u32 task_cgroups;
	__u32 mm_exe_file;
	__u32 file_mount; /* a struct vfsmount */
	__u32 file_dentry;
	__u32 dentry_parent;
	__u32 dentry_name;
	__u32 dentry_name_length;
	__u32 vfsmount_root;
	__u32 mount_vfsmount; /* where in a struct mount its struct vfsmount lies */
	__u32 mount_parent;
	__u32 mount_point;
	__u32 css_set_cgroup; /* in the tree of cgroup2 */
	__u32 cgroup_node;
	__u32 node_name;
	__u32 node_parent;
	__u32 sock_flags;
};

/* Refusals of one kind: the first is an event, the next are counted. */
struct series_key {
	struct addr remote;
	__u16 remote_port_be;
	__u16 policy;
	__u8 l4_proto;
	__u8 reason;
	__u16 rcode; /* of a failed lookup */
	__u32 pid;
	__u32 question; /* of a failed lookup: hash of name and type */
};

struct series {
	__u64 told_ns;
	__u64 count; /* since the last event */
};

/* ---- events ---- */

enum event_kind {
	EVENT_FLOW = 1,
	EVENT_DNS = 2,
};

enum verdict {
	VERDICT_ALLOW = 1,
	VERDICT_DENY = 2,
	VERDICT_WOULD_DENY = 3,
};

enum reason {
	REASON_NONE = 0,
	REASON_RULE_CIDR = 1, /* a prefix rule allows */
	REASON_RULE_NAME = 2, /* a lease allows */
	REASON_NO_RULE = 3,
	REASON_PORT = 4, /* address is listed, port is not */
	REASON_DENY_CIDR = 5,
	REASON_ETHERTYPE = 6,
	REASON_UNREADABLE = 7,
	REASON_FRAGMENT = 8, /* its first fragment was not passed */
	REASON_MAPPED = 9, /* v4-mapped address in an IPv6 header */
	REASON_LEASE_ENDED = 10, /* address was learned, lease is over */
	REASON_WITHDRAWN = 11, /* flow of a rule that is gone */
	REASON_DNS_STRICT = 12, /* name is not listed */
	REASON_DNS_DENIED = 13, /* deny-name */
	REASON_DNS_UNREADABLE = 14,
	REASON_LEARNED = 15, /* answer was learned */
	REASON_DNS_UNPARSED = 16, /* left to user space, detail says why */
	REASON_DNS_INWARD = 17, /* record skipped: points inward */
	REASON_ESTABLISHED = 18, /* not a first packet, and a rule allows it */
	REASON_INTERNAL = 19, /* a map or a scratch area could not be had */
	REASON_OBSERVED = 20, /* answer to a name that no rule lists: explains, teaches nothing */
	REASON_DNS_TYPE = 21, /* strict: a record type that no program needs, of a name listed by a wildcard */
	REASON_AUDIT = 22, /* nothing but an audit rule lets it pass */
	REASON_ENDED = 23, /* a flow that was allowed is over */
	REASON_DNS_FAILED = 24, /* the answer to what this host asked is an error: it teaches nothing */
};

enum unparsed {
	UNPARSED_SPLIT = 1, /* TCP segment does not hold exactly one message */
	UNPARSED_FRAGMENT = 2,
	UNPARSED_SIZE = 3,
	UNPARSED_STEPS = 4,
	UNPARSED_TRUNCATED = 5, /* TC=1: the client will ask over TCP */
	UNPARSED_HINTS = 6, /* HTTPS/SVCB records, their hints are not read */
};

struct event {
	__u64 boot_ns;
	__u64 count; /* events of the series this one stands for, itself included */
	__u32 ifindex;
	__u32 rule;
	__u16 kind;
	__u16 verdict;
	__u16 reason;
	__u16 policy;
	__u16 local_port_be;
	__u16 remote_port_be;
	__u8 l4_proto;
	__u8 detail; /* enum unparsed; ICMP type for ICMP flows */
	__u16 qtype;
	struct addr local;
	struct addr remote;
	__u32 pid; /* 0: not known */
	__u32 uid;
	__u8 comm[16];
	__u16 ether_type;
	__u16 n_addrs; /* EVENT_DNS learned: addresses stored */
	__u16 name_length; /* bytes of name that are used; wire form, lower case */
	__u16 rcode;
	__u64 started_ns; /* of the process, as in struct proc; so are the next two */
	__u64 cgroup_id;
	__u32 exec_id;
	__u32 window_ms; /* the time that count is of; 0 = the first of its series */
};

/* EVENT_FLOW with REASON_ENDED: what the flow carried. */
struct end_event {
	struct event head;
	__u64 bytes; /* of payload */
	__u64 packets;
	__u64 bytes_in; /* towards this host, where has_in */
	__u64 packets_in;
	__u32 has_in;
	__u32 pad;
};

/* EVENT_DNS is followed by the name, and by learned addresses behind it, at the next multiple of 8: a record
 * is as small as it can be, this is the largest.
 */
#define MAX_EVENT_ADDRS 16
struct dns_event {
	struct event head;
	__u8 name[256];
	struct addr addrs[MAX_EVENT_ADDRS];
};

/* ---- counters, per CPU ---- */
enum counter {
	COUNT_PASSED = 0,
	COUNT_REFUSED = 1,
	COUNT_RING_FULL = 2,
	COUNT_LEARNED = 3,
	COUNT_UNBOUND = 4, /* answer without a pending query */
	COUNT_LATE = 5,
	COUNT_QUESTION = 6, /* question differs from the one asked */
	COUNT_SEQUENCE = 7, /* TCP answer with another sequence number */
	COUNT_MALFORMED = 8,
	COUNT_RCODE = 9,
	COUNT_INWARD = 10,
	COUNT_EVICTED = 11,
	COUNT_MAP_FULL = 12,
	COUNT_REPLIES = 13, /* RST or ICMP sent for a refusal */
	COUNT_REPLIES_LIMITED = 14,
	COUNT_UNPARSED = 15,
	COUNT_QUERIES = 16,
	COUNT_RULE_GONE = 17, /* answer of a rule that was withdrawn meanwhile */
	COUNTERS = 18,
};

/* What user space hands to the program `l7egg_teach` as a packet: leases are
 * only written in the kernel, under the lock of their entry.
 */
enum lesson_kind {
	LESSON_LEARN = 1,
	LESSON_PRUNE = 2, /* delete the entries of addrs that hold nothing live */
	LESSON_RECORD = 3, /* give the live leases of addrs by rules[0] a record in its share */
	LESSON_DROP = 4, /* take the leases of addrs by rules[0] away */
};

struct lesson {
	__u8 mac[14]; /* BPF_PROG_TEST_RUN wants an Ethernet header */
	__u16 policy;
	__u32 kind;
	__u32 ttl_seconds;
	__u32 n_rules;
	__u32 n_addrs;
	__u32 rules[MAX_HELD];
	struct addr addrs[MAX_EVENT_ADDRS];
};

#endif
