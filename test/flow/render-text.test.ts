import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Event, FlowEvent } from '../../src/flow/event.ts';
import { type Painter, PLAIN, renderText } from '../../src/flow/render-text.ts';
import { FLOW, LIFECYCLE, LOOKUP, POLICY, SHAPES, TIME_MS } from './events.ts';

const { process: _process, ...UNKNOWN_PROCESS } = FLOW;
const { rule: _rule, ...NO_RULE } = FLOW;
const { qname: _qname, qtype: _qtype, ...UNREAD_LOOKUP } = LOOKUP;
const V6: FlowEvent['packet'] = {
  family: 'ipv6',
  proto: 'udp',
  src: '2001:db8::1',
  sport: 1,
  dst: '2001:db8::7',
  dport: 443,
};

const rows: readonly (readonly [title: string, event: Event, line: string])[] = [
  ['an allowed flow', FLOW, 'allow      curl[1234] www.example.com 198.51.100.7:443/tcp by .example.com'],
  [
    'a flow that a prefix allows',
    { ...FLOW, reason: 'rule-cidr', rule: '198.51.100.0/24', names: [] },
    'allow      curl[1234] - 198.51.100.7:443/tcp by 198.51.100.0/24',
  ],
  [
    'an established flow',
    { ...FLOW, reason: 'established' },
    'allow      curl[1234] www.example.com 198.51.100.7:443/tcp established by .example.com',
  ],
  [
    'a refused flow',
    { ...NO_RULE, verdict: 'deny', reason: 'no-rule', names: [] },
    'deny       curl[1234] - 198.51.100.7:443/tcp no-rule',
  ],
  [
    'a flow that a rule refuses',
    { ...FLOW, verdict: 'deny', reason: 'deny-cidr', rule: '198.51.100.7/32' },
    'deny       curl[1234] www.example.com 198.51.100.7:443/tcp deny-cidr by 198.51.100.7/32',
  ],
  [
    'a flow under audit',
    { ...NO_RULE, verdict: 'would_deny', reason: 'port' },
    'would_deny curl[1234] www.example.com 198.51.100.7:443/tcp port',
  ],
  [
    'an unknown process',
    UNKNOWN_PROCESS,
    'allow      - www.example.com 198.51.100.7:443/tcp by .example.com',
  ],
  [
    'three names',
    { ...FLOW, names: ['a', 'b', 'c'] },
    'allow      curl[1234] a,b,c 198.51.100.7:443/tcp by .example.com',
  ],
  [
    'five names',
    { ...FLOW, names: ['a', 'b', 'c', 'd', 'e'] },
    'allow      curl[1234] a,b,c,+2 198.51.100.7:443/tcp by .example.com',
  ],
  [
    'a series',
    { ...FLOW, count: 5 },
    'allow      curl[1234] www.example.com 198.51.100.7:443/tcp by .example.com x5',
  ],
  [
    'lost events',
    { ...FLOW, lost: 12 },
    'allow      curl[1234] www.example.com 198.51.100.7:443/tcp by .example.com (12 events lost before)',
  ],
  [
    'IPv6',
    { ...FLOW, packet: V6 },
    'allow      curl[1234] www.example.com [2001:db8::7]:443/udp by .example.com',
  ],
  [
    'ICMP',
    {
      ...FLOW,
      packet: { family: 'ipv4', proto: 'icmp', src: '192.0.2.1', dst: '198.51.100.7', icmpType: 8 },
    },
    'allow      curl[1234] www.example.com 198.51.100.7/icmp type 8 by .example.com',
  ],
  [
    'a protocol without ports',
    { ...FLOW, packet: { family: 'ipv6', proto: 'gre', src: '2001:db8::1', dst: '2001:db8::7' } },
    'allow      curl[1234] www.example.com 2001:db8::7/gre by .example.com',
  ],
  [
    'an unknown ethertype',
    {
      ...UNKNOWN_PROCESS,
      verdict: 'deny',
      reason: 'ethertype',
      names: [],
      rule: 'x',
      packet: { family: 'unread', etherType: 0x88 },
    },
    'deny       - - ethertype 0x0088 ethertype by x',
  ],
  ['a refused lookup', LOOKUP, 'deny       curl[1234] evil.test 192.0.2.53:53/udp dns-strict AAAA'],
  [
    'a lookup that a rule refuses',
    { ...LOOKUP, reason: 'dns-denied', rule: '**.test' },
    'deny       curl[1234] evil.test 192.0.2.53:53/udp dns-denied AAAA by **.test',
  ],
  [
    'an unreadable lookup',
    { ...UNREAD_LOOKUP, reason: 'dns-unreadable' },
    'deny       curl[1234] - 192.0.2.53:53/udp dns-unreadable',
  ],
  [
    'a learned answer',
    {
      ...LOOKUP,
      verdict: 'allow',
      reason: 'learned',
      rule: '.test',
      addresses: ['2001:db8::1', '2001:db8::2'],
    },
    'allow      curl[1234] evil.test 192.0.2.53:53/udp learned AAAA 2001:db8::1 2001:db8::2 by .test',
  ],
  [
    'a learned answer of many addresses',
    { ...LOOKUP, verdict: 'allow', reason: 'learned', addresses: ['a', 'b', 'c', 'd'] },
    'allow      curl[1234] evil.test 192.0.2.53:53/udp learned AAAA a b c +1',
  ],
  [
    'an answer left to user space',
    { ...LOOKUP, verdict: 'allow', reason: 'dns-unparsed', unparsed: 'split' },
    'allow      curl[1234] evil.test 192.0.2.53:53/udp dns-unparsed AAAA split',
  ],
  ['a lifecycle event', LIFECYCLE, 'detached eth1 the interface is gone'],
  [
    'a lifecycle event of no interface',
    { kind: 'lifecycle', seq: 1, timeMs: FLOW.timeMs, lost: 0, action: 'stopping', message: 'on SIGTERM' },
    'stopping on SIGTERM',
  ],
  [
    'the end of a flow',
    { ...FLOW, reason: 'ended', traffic: { bytes: 10, packets: 2 } },
    'allow      curl[1234] www.example.com 198.51.100.7:443/tcp ended sent 10 bytes in 2 packets by .example.com',
  ],
  [
    'the end of a flow that received',
    { ...FLOW, reason: 'ended', traffic: { bytes: 10, packets: 2, bytesIn: 30, packetsIn: 4 } },
    'allow      curl[1234] www.example.com 198.51.100.7:443/tcp ended sent 10 bytes in 2 packets, received 30 in 4 by .example.com',
  ],
  [
    'an answer with an error',
    { ...LOOKUP, verdict: 'allow', reason: 'dns-failed', rcode: 'nxdomain' },
    'allow      curl[1234] evil.test 192.0.2.53:53/udp dns-failed AAAA rcode=NXDOMAIN',
  ],
  ['one lost event', { ...LIFECYCLE, lost: 1 }, 'detached eth1 the interface is gone (1 event lost before)'],
  [
    'policies, with what changed',
    POLICY,
    'reloaded | reloaded | + allow names that end in ".example.net" | - allow 192.0.2.0/24',
  ],
  [
    'control characters of policies',
    { ...POLICY, message: 'a\nb', lines: ['c\x1bd'] },
    'reloaded | a\\x0ab | c\\x1bd',
  ],
  [
    'control characters',
    {
      ...FLOW,
      verdict: 'deny',
      reason: 'port',
      rule: 'r\x1b',
      names: ['a\nb', '\u202ec'],
      process: { pid: 1, uid: 0, comm: '\x1b[2J\x07' },
    },
    'deny       \\x1b[2J\\x07[1] a\\x0ab,\\u{202e}c 198.51.100.7:443/tcp port by r\\x1b',
  ],
  [
    'control characters of a lookup',
    { ...LOOKUP, qname: 'a\x9bb' },
    'deny       curl[1234] a\\x9bb 192.0.2.53:53/udp dns-strict AAAA',
  ],
  [
    'control characters of a message',
    { ...LIFECYCLE, iface: '\x1b', message: 'a\nb' },
    'detached \\x1b a\\x0ab',
  ],
];

for (const [title, event, line] of rows) {
  test(`renderText shows ${title}`, () => {
    assert.equal(renderText(event, { colour: PLAIN, nowMs: TIME_MS }), `03:04:05.006 ${line}`);
  });
}

const TAGS: Painter = {
  allow: (text) => `<allow>${text}</>`,
  deny: (text) => `<deny>${text}</>`,
  wouldDeny: (text) => `<would>${text}</>`,
  dim: (text) => `<dim>${text}</>`,
  strong: (text) => `<strong>${text}</>`,
};

for (const [verdict, painted] of [
  ['allow', '<allow>allow     </>'],
  ['deny', '<deny>deny      </>'],
  ['would_deny', '<would>would_deny</>'],
] as const) {
  test(`renderText paints ${verdict}`, () => {
    assert.equal(
      renderText({ ...FLOW, verdict }, { colour: TAGS, nowMs: TIME_MS }),
      `<dim>03:04:05.006</> ${painted} <dim>curl[1234]</> <strong>www.example.com</> 198.51.100.7:443/tcp <dim>by .example.com</>`,
    );
  });
}

for (const [title, event] of SHAPES) {
  test(`renderText gives one printable line of ${title}`, () => {
    assert.doesNotMatch(renderText(event, { colour: PLAIN, nowMs: TIME_MS }), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });
}

test('renderText has the date of what is not of today', () => {
  const later = TIME_MS + 3 * 86_400_000;
  assert.match(renderText(FLOW, { colour: PLAIN, nowMs: later }), /^2026-01-02 03:04:05\.006 allow/u);
  assert.match(renderText(FLOW, { colour: PLAIN, nowMs: TIME_MS + 3_600_000 }), /^03:04:05\.006 allow/u);
});
