// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Never loaded: one instance of each type of the contract, so that all are in the BTF of this
 * object, which tools/abi-check.ts reads.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include "contract.h"

#define INSTANCE(name) struct name instance_of_##name

INSTANCE(addr);
INSTANCE(name_key);
INSTANCE(name_rules);
INSTANCE(pattern);
INSTANCE(prefix_key);
INSTANCE(host_key);
INSTANCE(addr_rules);
INSTANCE(rule_set);
INSTANCE(port_range);
INSTANCE(rule);
INSTANCE(resolver_key);
INSTANCE(policy);
INSTANCE(subject);
INSTANCE(socket_owner);
INSTANCE(slot);
INSTANCE(control);
INSTANCE(flow_key);
INSTANCE(flow);
INSTANCE(socket_flow);
INSTANCE(inbound);
INSTANCE(leases);
INSTANCE(lease_record);
INSTANCE(rule_state);
INSTANCE(pending_key);
INSTANCE(pending);
INSTANCE(dns_stream_key);
INSTANCE(dns_stream);
INSTANCE(alias_key);
INSTANCE(alias);
INSTANCE(fragment_key);
INSTANCE(fragment);
INSTANCE(onlink_key);
INSTANCE(dhcp_key);
INSTANCE(proc);
INSTANCE(program_key);
INSTANCE(kernel_path);
INSTANCE(kernel_types);
INSTANCE(series_key);
INSTANCE(series);
INSTANCE(event);
INSTANCE(end_event);
INSTANCE(dns_event);
INSTANCE(lesson);

enum event_kind value_of_event_kind;
enum verdict value_of_verdict;
enum reason value_of_reason;
enum unparsed value_of_unparsed;
enum counter value_of_counter;
enum lesson_kind value_of_lesson_kind;
