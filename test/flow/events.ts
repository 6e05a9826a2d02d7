import type { DnsEvent, Event, FlowEvent, LifecycleEvent, PolicyEvent } from '../../src/flow/event.ts';

/** 3:04:05.006 of the local zone. */
export const TIME_MS = new Date(2026, 0, 2, 3, 4, 5, 6).getTime();

const HEAD = { seq: 7, timeMs: TIME_MS, lost: 0 } as const;

/** An allowed flow by name. */
export const FLOW: FlowEvent = {
  ...HEAD,
  kind: 'flow',
  verdict: 'allow',
  reason: 'rule-name',
  rule: '.example.com',
  policy: 'default',
  subject: 'host',
  iface: 'eth0',
  packet: { family: 'ipv4', proto: 'tcp', src: '192.0.2.1', sport: 40_000, dst: '198.51.100.7', dport: 443 },
  process: { pid: 1234, uid: 1000, comm: 'curl' },
  count: 1,
  windowMs: 0,
  names: ['www.example.com'],
  leases: [{ name: 'www.example.com', endsMs: TIME_MS + 90_000 }],
};

/** A refused lookup. */
export const LOOKUP: DnsEvent = {
  ...HEAD,
  kind: 'dns',
  verdict: 'deny',
  reason: 'dns-strict',
  policy: 'default',
  subject: 'host',
  iface: 'eth0',
  packet: { family: 'ipv4', proto: 'udp', src: '192.0.2.1', sport: 40_001, dst: '192.0.2.53', dport: 53 },
  process: { pid: 1234, uid: 1000, comm: 'curl' },
  count: 1,
  windowMs: 0,
  qname: 'evil.test',
  qtype: 'aaaa',
  addresses: [],
};

/** Something that happened to the enforcer. */
export const LIFECYCLE: LifecycleEvent = {
  ...HEAD,
  kind: 'lifecycle',
  action: 'detached',
  iface: 'eth1',
  message: 'the interface is gone',
};

/** Something that happened to the policies. */
export const POLICY: PolicyEvent = {
  ...HEAD,
  kind: 'policy',
  action: 'reloaded',
  message: 'reloaded',
  lines: ['+ allow names that end in ".example.net"', '- allow 192.0.2.0/24'],
};

const { rule: _rule, process: _process, ...BARE_FLOW } = FLOW;
const { qname: _qname, qtype: _qtype, process: _client, ...BARE_LOOKUP } = LOOKUP;

/** One of each shape that an event can have. */
export const SHAPES: readonly (readonly [title: string, event: Event])[] = [
  ['a flow', FLOW],
  ['a flow of unknown process and rule', { ...BARE_FLOW, names: [], leases: [] }],
  [
    'a flow of a process that is known well',
    {
      ...FLOW,
      process: {
        pid: 1,
        uid: 4_294_967_295,
        comm: 'a\n\x1b[31m\u202e"',
        exe: '/usr/bin/curl (deleted)',
        cgroup: '/a.slice/b',
        container: 'web',
      },
    },
  ],
  ['a series', { ...FLOW, count: 9, windowMs: 1_000, lost: 3 }],
  [
    'a type of ICMP',
    {
      ...FLOW,
      packet: { family: 'ipv6', proto: 'icmpv6', src: '2001:db8::1', dst: '2001:db8::7', icmpType: 128 },
    },
  ],
  [
    'a protocol without ports',
    { ...FLOW, packet: { family: 'ipv6', proto: 'proto-253', src: '::1', dst: '::ffff:192.0.2.1' } },
  ],
  ['what is not IP', { ...BARE_FLOW, packet: { family: 'unread', etherType: 0x8847 } }],
  [
    'port 0',
    {
      ...FLOW,
      packet: { family: 'ipv4', proto: 'udp', src: '0.0.0.0', sport: 0, dst: '255.255.255.255', dport: 0 },
    },
  ],
  ['the end of a flow', { ...FLOW, reason: 'ended', traffic: { bytes: 0, packets: 0 } }],
  [
    'the end of a flow that received',
    { ...FLOW, reason: 'ended', traffic: { bytes: 1, packets: 2, bytesIn: 3, packetsIn: 4 } },
  ],
  ['a lookup', LOOKUP],
  ['a lookup that could not be read', { ...BARE_LOOKUP, reason: 'dns-unreadable' }],
  [
    'what an answer taught',
    { ...LOOKUP, verdict: 'allow', reason: 'learned', rule: 'r', addresses: ['2001:db8::1', '192.0.2.1'] },
  ],
  ['an answer with an error', { ...LOOKUP, verdict: 'allow', reason: 'dns-failed', rcode: 'nxdomain' }],
  [
    'an answer left to the process',
    { ...LOOKUP, verdict: 'allow', reason: 'dns-unparsed', unparsed: 'hints' },
  ],
  ['policies', POLICY],
  ['policies without lines', { ...POLICY, action: 'unchanged', lines: [] }],
  ['an interface', LIFECYCLE],
  ['the enforcer', { ...HEAD, kind: 'lifecycle', action: 'stopping', message: 'a\tb' }],
];
