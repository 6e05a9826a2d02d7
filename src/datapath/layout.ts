/**
 * The mirror of bpf/contract.h: size of each struct, and [offset, size] of each field, in bytes.
 * tools/abi-check.ts holds it against the BTF of the built object.
 */
export const LAYOUT = {
  addr: {
    size: 16,
    fields: {
      bytes: [0, 16],
    },
  },
  name_key: {
    size: 260,
    fields: {
      prefix_bits: [0, 4],
      policy: [4, 2],
      reversed: [6, 254],
    },
  },
  name_rules: {
    size: 72,
    fields: {
      rules: [0, 32],
      patterns: [32, 32],
      deny_rule: [64, 4],
      flags: [68, 4],
    },
  },
  pattern: {
    size: 264,
    fields: {
      rule: [0, 4],
      effect: [4, 1],
      deep: [5, 1],
      length: [6, 2],
      reversed: [8, 256],
    },
  },
  prefix_key: {
    size: 24,
    fields: {
      prefix_bits: [0, 4],
      policy: [4, 2],
      pad: [6, 2],
      addr: [8, 16],
    },
  },
  host_key: {
    size: 24,
    fields: {
      addr: [0, 16],
      policy: [16, 2],
      pad: [18, 6],
    },
  },
  addr_rules: {
    size: 8,
    fields: {
      allow_set: [0, 4],
      deny_set: [4, 4],
    },
  },
  rule_set: {
    size: 128,
    fields: {
      rules: [0, 128],
    },
  },
  port_range: {
    size: 8,
    fields: {
      low: [0, 2],
      high: [2, 2],
      l4_proto: [4, 1],
      pad: [5, 3],
    },
  },
  rule: {
    size: 144,
    fields: {
      ring_base: [0, 4],
      ring_length: [4, 4],
      n_ports: [8, 4],
      flags: [12, 4],
      ports: [16, 128],
    },
  },
  resolver_key: {
    size: 24,
    fields: {
      addr: [0, 16],
      port_be: [16, 2],
      policy: [18, 2],
      pad: [20, 4],
    },
  },
  policy: {
    size: 8,
    fields: {
      flags: [0, 4],
      pad: [4, 4],
    },
  },
  subject: {
    size: 24,
    fields: {
      policy: [0, 4],
      flags: [4, 4],
      netns_cookie: [8, 8],
      priority: [16, 4],
      pad: [20, 4],
    },
  },
  socket_owner: {
    size: 16,
    fields: {
      netns_cookie: [0, 8],
      policy: [8, 4],
      pad: [12, 4],
    },
  },
  slot: {
    size: 16,
    fields: {
      epoch: [0, 4],
      pad: [4, 4],
      dns_ports_be: [8, 8],
    },
  },
  control: {
    size: 72,
    fields: {
      layout: [0, 4],
      active: [4, 4],
      slots: [8, 32],
      netns_cookie: [40, 8],
      hash_seed: [48, 8],
      next_rule_id: [56, 4],
      ready: [60, 4],
      subject_levels: [64, 8],
    },
  },
  flow_key: {
    size: 40,
    fields: {
      local: [0, 16],
      remote: [16, 16],
      local_port_be: [32, 2],
      remote_port_be: [34, 2],
      policy: [36, 2],
      l4_proto: [38, 1],
      pad: [39, 1],
    },
  },
  flow: {
    size: 24,
    fields: {
      seen_ns: [0, 8],
      rule: [8, 4],
      epoch: [12, 4],
      flags: [16, 4],
      checked_jiffies: [20, 4],
    },
  },
  socket_flow: {
    size: 56,
    fields: {
      key: [0, 40],
      epoch: [40, 4],
      inbound: [44, 4],
      rule: [48, 4],
      pad: [52, 4],
    },
  },
  inbound: {
    size: 8,
    fields: {
      seen_ns: [0, 8],
    },
  },
  leases: {
    size: 80,
    fields: {
      lock: [0, 4],
      dead: [4, 4],
      told_name: [8, 4],
      told_seconds: [12, 4],
      held: [16, 64],
    },
  },
  lease_record: {
    size: 24,
    fields: {
      addr: [0, 16],
      rule: [16, 4],
      policy: [20, 2],
      pad: [22, 2],
    },
  },
  rule_state: {
    size: 40,
    fields: {
      next_record: [0, 8],
      allowed: [8, 8],
      refused: [16, 8],
      learned: [24, 8],
      evicted: [32, 8],
    },
  },
  pending_key: {
    size: 48,
    fields: {
      client: [0, 16],
      resolver: [16, 16],
      client_port_be: [32, 2],
      resolver_port_be: [34, 2],
      query_id_be: [36, 2],
      policy: [38, 2],
      l4_proto: [40, 1],
      pad: [41, 7],
    },
  },
  pending: {
    size: 312,
    fields: {
      asked_boot_ns: [0, 8],
      name_hash: [8, 8],
      epoch: [16, 4],
      qtype: [20, 2],
      name_length: [22, 2],
      rules: [24, 32],
      name: [56, 256],
    },
  },
  dns_stream_key: {
    size: 40,
    fields: {
      client: [0, 16],
      resolver: [16, 16],
      client_port_be: [32, 2],
      resolver_port_be: [34, 2],
      pad: [36, 4],
    },
  },
  dns_stream: {
    size: 8,
    fields: {
      next_sequence: [0, 4],
      pad: [4, 4],
    },
  },
  alias_key: {
    size: 16,
    fields: {
      name_hash: [0, 8],
      policy: [8, 2],
      name_length: [10, 2],
      pad: [12, 4],
    },
  },
  alias: {
    size: 64,
    fields: {
      held: [0, 64],
    },
  },
  fragment_key: {
    size: 40,
    fields: {
      local: [0, 16],
      remote: [16, 16],
      id: [32, 4],
      policy: [36, 2],
      l4_proto: [38, 1],
      pad: [39, 1],
    },
  },
  fragment: {
    size: 8,
    fields: {
      seen_ns: [0, 8],
    },
  },
  onlink_key: {
    size: 24,
    fields: {
      prefix_bits: [0, 4],
      ifindex: [4, 4],
      addr: [8, 16],
    },
  },
  dhcp_key: {
    size: 24,
    fields: {
      server: [0, 16],
      ifindex: [16, 4],
      pad: [20, 4],
    },
  },
  proc: {
    size: 24,
    fields: {
      pid: [0, 4],
      uid: [4, 4],
      comm: [8, 16],
    },
  },
  series_key: {
    size: 32,
    fields: {
      remote: [0, 16],
      remote_port_be: [16, 2],
      policy: [18, 2],
      l4_proto: [20, 1],
      reason: [21, 1],
      pad: [22, 2],
      pid: [24, 4],
      pad2: [28, 4],
    },
  },
  series: {
    size: 16,
    fields: {
      told_ns: [0, 8],
      count: [8, 8],
    },
  },
  event: {
    size: 104,
    fields: {
      boot_ns: [0, 8],
      count: [8, 8],
      ifindex: [16, 4],
      rule: [20, 4],
      kind: [24, 2],
      verdict: [26, 2],
      reason: [28, 2],
      policy: [30, 2],
      local_port_be: [32, 2],
      remote_port_be: [34, 2],
      l4_proto: [36, 1],
      detail: [37, 1],
      qtype: [38, 2],
      local: [40, 16],
      remote: [56, 16],
      pid: [72, 4],
      uid: [76, 4],
      comm: [80, 16],
      ether_type: [96, 2],
      n_addrs: [98, 2],
      name_length: [100, 2],
      rcode: [102, 2],
    },
  },
  dns_event: {
    size: 616,
    fields: {
      head: [0, 104],
      name: [104, 256],
      addrs: [360, 256],
    },
  },
  lesson: {
    size: 320,
    fields: {
      mac: [0, 14],
      policy: [14, 2],
      kind: [16, 4],
      ttl_seconds: [20, 4],
      n_rules: [24, 4],
      n_addrs: [28, 4],
      rules: [32, 32],
      addrs: [64, 256],
    },
  },
} as const;

/** The numbers of the enums of bpf/contract.h. */
export const ENUMS = {
  event_kind: {
    EVENT_FLOW: 1,
    EVENT_DNS: 2,
  },
  verdict: {
    VERDICT_ALLOW: 1,
    VERDICT_DENY: 2,
    VERDICT_WOULD_DENY: 3,
  },
  reason: {
    REASON_NONE: 0,
    REASON_RULE_CIDR: 1,
    REASON_RULE_NAME: 2,
    REASON_NO_RULE: 3,
    REASON_PORT: 4,
    REASON_DENY_CIDR: 5,
    REASON_ETHERTYPE: 6,
    REASON_UNREADABLE: 7,
    REASON_FRAGMENT: 8,
    REASON_MAPPED: 9,
    REASON_LEASE_ENDED: 10,
    REASON_WITHDRAWN: 11,
    REASON_DNS_STRICT: 12,
    REASON_DNS_DENIED: 13,
    REASON_DNS_UNREADABLE: 14,
    REASON_LEARNED: 15,
    REASON_DNS_UNPARSED: 16,
    REASON_DNS_INWARD: 17,
    REASON_ESTABLISHED: 18,
    REASON_INTERNAL: 19,
    REASON_OBSERVED: 20,
    REASON_DNS_TYPE: 21,
    REASON_AUDIT: 22,
  },
  unparsed: {
    UNPARSED_SPLIT: 1,
    UNPARSED_FRAGMENT: 2,
    UNPARSED_SIZE: 3,
    UNPARSED_STEPS: 4,
    UNPARSED_TRUNCATED: 5,
    UNPARSED_HINTS: 6,
  },
  counter: {
    COUNT_PASSED: 0,
    COUNT_REFUSED: 1,
    COUNT_RING_FULL: 2,
    COUNT_LEARNED: 3,
    COUNT_UNBOUND: 4,
    COUNT_LATE: 5,
    COUNT_QUESTION: 6,
    COUNT_SEQUENCE: 7,
    COUNT_MALFORMED: 8,
    COUNT_RCODE: 9,
    COUNT_INWARD: 10,
    COUNT_EVICTED: 11,
    COUNT_MAP_FULL: 12,
    COUNT_REPLIES: 13,
    COUNT_REPLIES_LIMITED: 14,
    COUNT_UNPARSED: 15,
    COUNT_QUERIES: 16,
    COUNT_RULE_GONE: 17,
    COUNTERS: 18,
  },
  lesson_kind: {
    LESSON_LEARN: 1,
    LESSON_PRUNE: 2,
    LESSON_RECORD: 3,
    LESSON_DROP: 4,
  },
} as const;

/** The sizes and flags that bpf/contract.h defines. */
export const LIMITS = {
  LAYOUT_VERSION: 3,
  MAX_RULES: 131072,
  MAX_FLOWS: 262144,
  MAX_INBOUND: 65536,
  MAX_LEASE_ADDRS: 135168,
  MAX_LEASE_RECORDS: 131072,
  MAX_PENDING: 16384,
  MAX_OBSERVED: 8192,
  MAX_ALIASES: 16384,
  MAX_PROCS: 16384,
  MAX_SERIES: 8192,
  MAX_FRAGMENTS: 4096,
  MAX_DNS_STREAMS: 4096,
  MAX_INTERFACES: 1024,
  MAX_SUBJECTS: 1024,
  MAX_LEVELS: 8,
  RING_BYTES: 1048576,
  MAX_NAME: 255,
  MAX_DNS_MESSAGE: 4096,
  MAX_HELD: 8,
  MAX_COVERING: 32,
  MAX_PATTERNS: 8,
  MAX_PORTS: 16,
  PATTERN_BYTES: 256,
  NAME_ANCESTOR: 1,
  NAME_EXACT: 2,
  NAME_LOOKUP: 4,
  PATTERN_ALLOW: 0,
  PATTERN_DENY: 1,
  PATTERN_LOOKUP: 2,
  RULE_PRIVATE_ANSWERS: 1,
  RULE_AUDIT: 2,
  POLICY_STRICT_DNS: 1,
  POLICY_AUDIT: 2,
  POLICY_DENY_NAMES: 4,
  POLICY_LIMIT_INBOUND: 8,
  POLICY_NO_INBOUND: 16,
  INBOUND_RULES: 4294901760,
  SUBJECT_OWN_NETNS: 1,
  FLOW_FIN: 1,
  MAX_EVENT_ADDRS: 16,
} as const;
