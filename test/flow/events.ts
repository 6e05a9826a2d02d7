import type { DnsEvent, FlowEvent, LifecycleEvent } from '../../src/flow/event.ts';

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
