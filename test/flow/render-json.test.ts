import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event } from '../../src/flow/event.ts';
import { renderJson } from '../../src/flow/render-json.ts';
import { FLOW, LIFECYCLE, LOOKUP, TIME_MS } from './events.ts';

const TS = new Date(TIME_MS).toISOString();
const { process: _process, rule: _rule, ...BARE_FLOW } = FLOW;
const { qname: _qname, qtype: _qtype, process: _client, ...BARE_LOOKUP } = LOOKUP;

const FLOW_LINE = {
  ts: TS,
  seq: 7,
  kind: 'flow',
  verdict: 'allow',
  reason: 'rule-name',
  rule: '.example.com',
  policy: 'default',
  subject: 'host',
  direction: 'out',
  family: 'ipv4',
  proto: 'tcp',
  src: '192.0.2.1',
  sport: 40_000,
  dst: '198.51.100.7',
  dport: 443,
  names: ['www.example.com'],
  leases: [{ name: 'www.example.com', ends: new Date(TIME_MS + 90_000).toISOString() }],
  iface: 'eth0',
  pid: 1234,
  comm: 'curl',
  uid: 1000,
  count: 1,
  window_ms: 0,
  lost: 0,
};
const LOOKUP_LINE = {
  ts: TS,
  seq: 7,
  kind: 'dns',
  verdict: 'deny',
  reason: 'dns-strict',
  policy: 'default',
  subject: 'host',
  direction: 'out',
  family: 'ipv4',
  proto: 'udp',
  src: '192.0.2.1',
  sport: 40_001,
  dst: '192.0.2.53',
  dport: 53,
  qname: 'evil.test',
  qtype: 'aaaa',
  addresses: [],
  iface: 'eth0',
  pid: 1234,
  comm: 'curl',
  uid: 1000,
  count: 1,
  window_ms: 0,
  lost: 0,
};

/** `line` without some of its keys. */
function without(line: object, ...keys: readonly string[]): object {
  return Object.fromEntries(Object.entries(line).filter(([key]) => !keys.includes(key)));
}

const rows: readonly (readonly [title: string, event: Event, line: object])[] = [
  ['a flow', FLOW, FLOW_LINE],
  ['a flow of unknown process and rule', BARE_FLOW, without(FLOW_LINE, 'rule', 'pid', 'comm', 'uid')],
  ['a series', { ...FLOW, count: 9, lost: 3 }, { ...FLOW_LINE, count: 9, lost: 3 }],
  [
    'a flow under audit',
    { ...FLOW, verdict: 'would_deny', reason: 'no-rule' },
    { ...FLOW_LINE, verdict: 'would_deny', reason: 'no-rule' },
  ],
  [
    'IPv6 and ICMP',
    {
      ...FLOW,
      packet: { family: 'ipv6', proto: 'icmpv6', src: '2001:db8::1', dst: '2001:db8::7', icmpType: 128 },
    },
    {
      ...without(FLOW_LINE, 'sport', 'dport'),
      family: 'ipv6',
      proto: 'icmpv6',
      src: '2001:db8::1',
      dst: '2001:db8::7',
      icmp_type: 128,
    },
  ],
  [
    'an unknown ethertype',
    { ...FLOW, packet: { family: 'unread', etherType: 0x8847 } },
    { ...without(FLOW_LINE, 'proto', 'src', 'sport', 'dst', 'dport'), family: 'unread', ethertype: 0x8847 },
  ],
  [
    'port 0',
    {
      ...FLOW,
      packet: { ...FLOW.packet, family: 'ipv4', proto: 'tcp', src: 'a', dst: 'b', sport: 0, dport: 0 },
    },
    { ...FLOW_LINE, src: 'a', dst: 'b', sport: 0, dport: 0 },
  ],
  ['a lookup', LOOKUP, LOOKUP_LINE],
  ['an unread lookup', BARE_LOOKUP, without(LOOKUP_LINE, 'qname', 'qtype', 'pid', 'comm', 'uid')],
  [
    'a learned answer',
    { ...LOOKUP, verdict: 'allow', reason: 'learned', rule: 'r', addresses: ['2001:db8::1'] },
    { ...LOOKUP_LINE, verdict: 'allow', reason: 'learned', rule: 'r', addresses: ['2001:db8::1'] },
  ],
  [
    'an answer left to user space',
    { ...LOOKUP, verdict: 'allow', reason: 'dns-unparsed', unparsed: 'hints' },
    { ...LOOKUP_LINE, verdict: 'allow', reason: 'dns-unparsed', unparsed: 'hints' },
  ],
  [
    'a lifecycle event',
    LIFECYCLE,
    {
      ts: TS,
      seq: 7,
      kind: 'lifecycle',
      action: 'detached',
      iface: 'eth1',
      message: 'the interface is gone',
      lost: 0,
    },
  ],
  ['control characters', { ...FLOW, names: ['a\n\x9b\u202e'] }, { ...FLOW_LINE, names: ['a\n\x9b\u202e'] }],
];

for (const [title, event, line] of rows) {
  test(`renderJson shows ${title}`, () => {
    assert.deepEqual(JSON.parse(renderJson(event)), line);
  });
}

test('renderJson keeps the order of keys', () => {
  assert.deepEqual(Object.keys(JSON.parse(renderJson(FLOW))), Object.keys(FLOW_LINE));
  assert.deepEqual(Object.keys(JSON.parse(renderJson(LOOKUP))), Object.keys(LOOKUP_LINE));
});

test('renderJson gives one printable line', () => {
  const line = renderJson({ ...FLOW, names: ['a\r\n\x1b\x7f\x9b\u2028\u202e'] });
  assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
});
