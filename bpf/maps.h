/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Every map. Policy maps are outer maps with one inner map per slot; the rest
 * is state that outlives a swap and, being pinned, the process.
 */
#ifndef L7EGG_MAPS_H
#define L7EGG_MAPS_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include "contract.h"

/* An inner map stands for its kind; user space makes the real ones to fit. Sizes, not types:
 * clang 14 leaves types that only an inner map names out of the BTF.
 */
#define POLICY_MAP(name, inner_type, key_type, value_type, flags)                                  \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                          \
		__uint(max_entries, 2);                                                            \
		__type(key, __u32);                                                                \
		__array(                                                                           \
			values, struct {                                                           \
				__uint(type, inner_type);                                          \
				__uint(max_entries, 1);                                            \
				__uint(map_flags, flags);                                          \
				__uint(key_size, sizeof(key_type));                                \
				__uint(value_size, sizeof(value_type));                            \
			});                                                                        \
	} name SEC(".maps")

POLICY_MAP(names, BPF_MAP_TYPE_LPM_TRIE, struct name_key, struct name_rules, BPF_F_NO_PREALLOC);
POLICY_MAP(patterns, BPF_MAP_TYPE_HASH, __u32, struct pattern, BPF_F_NO_PREALLOC);
POLICY_MAP(prefixes, BPF_MAP_TYPE_LPM_TRIE, struct prefix_key, struct addr_rules,
	   BPF_F_NO_PREALLOC);
POLICY_MAP(hosts, BPF_MAP_TYPE_HASH, struct host_key, struct addr_rules, 0);
POLICY_MAP(sets, BPF_MAP_TYPE_HASH, __u32, struct rule_set, BPF_F_NO_PREALLOC);
POLICY_MAP(rules, BPF_MAP_TYPE_HASH, __u32, struct rule, BPF_F_NO_PREALLOC);
POLICY_MAP(policies, BPF_MAP_TYPE_HASH, __u32, struct policy, BPF_F_NO_PREALLOC);

#define STATE_MAP(name, map_type, key_type, value_type, entries)                                   \
	struct {                                                                                   \
		__uint(type, map_type);                                                            \
		__uint(max_entries, entries);                                                      \
		__type(key, key_type);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

STATE_MAP(control, BPF_MAP_TYPE_ARRAY, __u32, struct control, 1);
STATE_MAP(resolvers, BPF_MAP_TYPE_HASH, struct resolver_key, __u32, 4096);
STATE_MAP(flows, BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct flow, MAX_FLOWS);
STATE_MAP(inbound, BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct inbound, MAX_INBOUND);
/* Not yet answered by a handshake, or connectionless: a flood of these leaves `inbound` alone. */
STATE_MAP(inbound_new, BPF_MAP_TYPE_LRU_HASH, struct flow_key, struct inbound, MAX_INBOUND);
STATE_MAP(learned, BPF_MAP_TYPE_HASH, struct host_key, struct leases, MAX_LEASE_ADDRS);
STATE_MAP(lease_ring, BPF_MAP_TYPE_ARRAY, __u32, struct lease_record, 2 * MAX_LEASE_RECORDS);
STATE_MAP(pending_queries, BPF_MAP_TYPE_LRU_HASH, struct pending_key, struct pending, MAX_PENDING);
/* Queries for names that no rule lists: a flood of them leaves those above alone. */
STATE_MAP(observed_queries, BPF_MAP_TYPE_LRU_HASH, struct pending_key, struct pending,
	  MAX_OBSERVED);
STATE_MAP(dns_streams, BPF_MAP_TYPE_LRU_HASH, struct dns_stream_key, struct dns_stream,
	  MAX_DNS_STREAMS);
STATE_MAP(aliases, BPF_MAP_TYPE_LRU_HASH, struct alias_key, struct alias, MAX_ALIASES);
STATE_MAP(fragments, BPF_MAP_TYPE_LRU_HASH, struct fragment_key, struct fragment, MAX_FRAGMENTS);
STATE_MAP(series, BPF_MAP_TYPE_LRU_HASH, struct series_key, struct series, MAX_SERIES);
STATE_MAP(procs, BPF_MAP_TYPE_LRU_HASH, __u64, struct proc, MAX_PROCS);
/* Paths, by what the kernel knows them by: read when an event arrives that names one. */
STATE_MAP(programs, BPF_MAP_TYPE_LRU_HASH, struct program_key, struct kernel_path, MAX_PROGRAMS);
STATE_MAP(cgroup_paths, BPF_MAP_TYPE_LRU_HASH, __u64, struct kernel_path, MAX_CGROUP_PATHS);
STATE_MAP(dhcp_servers, BPF_MAP_TYPE_LRU_HASH, struct dhcp_key, __u64, 256);
STATE_MAP(own_addresses, BPF_MAP_TYPE_HASH, struct addr, __u32, 4096);
STATE_MAP(enforced, BPF_MAP_TYPE_HASH, __u32, __u32, MAX_INTERFACES);
STATE_MAP(counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, COUNTERS);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * MAX_RULES);
	__type(key, __u32);
	__type(value, struct rule_state);
} rule_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct onlink_key);
	__type(value, __u32);
} onlink SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_flow);
} socket_flows SEC(".maps");

/* Cgroups whose sockets a policy of their own judges, by cgroup id; elsewhere they pass. */
STATE_MAP(subject_cgroups, BPF_MAP_TYPE_HASH, __u64, __u32, MAX_SUBJECTS);

/* One for all hooks of a cgroup: that is what a key of the id alone means. */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, struct subject);
} subjects SEC(".maps");

/* A server's socket hands it to those that it accepts. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_owner);
} socket_owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} events SEC(".maps");

#endif
