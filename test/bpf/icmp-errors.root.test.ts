import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { encodeStruct } from '../../src/datapath/struct.ts';
import { parseAddress } from '../../src/policy/prefix.ts';
import { type IpParts, ip, localFor, optionsHeader, outbound } from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import { CLIENT_PORT, icmp, icmpv6, type Segment, tcp, udp, WEB_PORT } from './segments.ts';

const HOST = '198.51.100.7';
const HOST6 = '2001:db8:1::7';
const OTHER = '203.0.113.9';
const OTHER6 = '2001:db8:2::9';
const POLICY = { rules: { 1: { cn: '.example.com' } } };
const datapath = await useHarness('egress');

/** Flows that a lease has opened and that no rule or lease would let begin again. */
beforeEach(async () => {
  await datapath.ensure(POLICY);
  for (const host of [HOST, HOST6]) {
    datapath.teach([1], [host]);
    assert.equal(datapath.send('egress', outbound(host, udp())), 'pass');
  }
  datapath.endLeases();
});

interface Row {
  readonly what: string;
  readonly type: number;
  readonly to: string;
  /** The packet that is quoted; by default one of the flow, on its way in. */
  readonly quoted?: Uint8Array;
  readonly parts?: IpParts;
  readonly verdict: Verdict;
}

const back = udp({ from: WEB_PORT, to: CLIENT_PORT });
const quote = (from: string, segment: Segment, parts?: IpParts) => ip(from, localFor(from), segment, parts);
const ROWS: readonly Row[] = [
  { what: 'unreachable', type: 3, to: HOST, verdict: 'pass' },
  { what: 'time exceeded', type: 11, to: HOST, verdict: 'pass' },
  { what: 'parameter problem', type: 12, to: HOST, verdict: 'pass' },
  { what: 'source quench', type: 4, to: HOST, verdict: 'drop' },
  { what: 'redirect', type: 5, to: HOST, verdict: 'drop' },
  { what: 'timestamp request', type: 13, to: HOST, verdict: 'drop' },
  {
    what: 'quote with options',
    type: 3,
    to: HOST,
    quoted: quote(HOST, back, { options: Buffer.alloc(12, 1) }),
    verdict: 'pass',
  },
  {
    what: 'header with options',
    type: 3,
    to: HOST,
    parts: { options: Buffer.alloc(12, 1) },
    verdict: 'pass',
  },
  { what: 'quote of 8 bytes', type: 3, to: HOST, quoted: quote(HOST, back).subarray(0, 28), verdict: 'pass' },
  {
    what: 'quote of no ports',
    type: 3,
    to: HOST,
    quoted: quote(HOST, back).subarray(0, 20),
    verdict: 'drop',
  },
  { what: 'no quote', type: 3, to: HOST, quoted: Buffer.alloc(0), verdict: 'drop' },
  {
    what: 'quote of the flow on its way out',
    type: 3,
    to: HOST,
    quoted: outbound(HOST, udp()),
    verdict: 'drop',
  },
  {
    what: 'quote of another port',
    type: 3,
    to: HOST,
    quoted: quote(HOST, udp({ from: 80, to: CLIENT_PORT })),
    verdict: 'drop',
  },
  {
    what: 'quote of another protocol',
    type: 3,
    to: HOST,
    quoted: quote(HOST, tcp({ from: WEB_PORT, to: CLIENT_PORT })),
    verdict: 'drop',
  },
  { what: 'quote of no flow', type: 3, to: OTHER, quoted: quote(OTHER, back), verdict: 'drop' },
  {
    what: 'quote of the flow, to somebody else',
    type: 3,
    to: OTHER,
    quoted: quote(HOST, back),
    verdict: 'drop',
  },
  { what: 'quote of IPv6 in IPv4', type: 3, to: HOST, quoted: quote(HOST6, back), verdict: 'drop' },
  { what: 'unreachable', type: 1, to: HOST6, verdict: 'pass' },
  { what: 'packet too big', type: 2, to: HOST6, verdict: 'pass' },
  { what: 'time exceeded', type: 3, to: HOST6, verdict: 'pass' },
  { what: 'parameter problem', type: 4, to: HOST6, verdict: 'pass' },
  { what: 'type 0', type: 0, to: HOST6, verdict: 'drop' },
  { what: 'type 5', type: 5, to: HOST6, verdict: 'drop' },
  { what: 'behind options', type: 1, to: HOST6, parts: { extensions: [optionsHeader(60)] }, verdict: 'pass' },
  { what: 'quote of no flow', type: 1, to: OTHER6, quoted: quote(OTHER6, back), verdict: 'drop' },
  {
    what: 'quote of the flow, to somebody else',
    type: 1,
    to: OTHER6,
    quoted: quote(HOST6, back),
    verdict: 'drop',
  },
];

for (const { what, type, to, quoted = quote(to, back), parts, verdict } of ROWS) {
  test(`ICMP error to ${to}, ${what}: ${verdict}`, () => {
    const segment = to.includes(':') ? icmpv6({ type, payload: quoted }) : icmp({ type, payload: quoted });
    assert.equal(datapath.send('egress', outbound(to, segment, parts)), verdict);
  });
}

for (const to of [HOST, HOST6]) {
  test(`ICMP error to ${to} whose quote is behind its end, in the padding of the frame: drop`, () => {
    const quoted = quote(to, back);
    const isIpv4 = to === HOST;
    const segment = isIpv4 ? icmp({ type: 3, payload: quoted }) : icmpv6({ type: 1, payload: quoted });
    const needed = isIpv4 ? 20 + 8 + 20 + 4 : 8 + 40 + 4;
    const verdictOf = (claimedLength: number) =>
      datapath.send('egress', outbound(to, segment, { claimedLength }));
    assert.deepEqual([verdictOf(needed - 1), verdictOf(needed)], ['drop', 'pass']);
  });
}

const error = (to: string) => outbound(to, icmp({ type: 3, code: 3, payload: quote(to, back) }));

test('ICMP error of a flow that ended: drop', () => {
  datapath.forget('flows');
  assert.equal(datapath.send('egress', error(HOST)), 'drop');
});

test('ICMP error of a flow that was idle for too long: drop', () => {
  datapath.age('flows', 61);
  assert.equal(datapath.send('egress', error(HOST)), 'drop');
});

test('ICMP error of a flow over a swap: pass; its rule withdrawn: drop', async () => {
  await datapath.apply({ rules: { 1: { cn: '.example.com' }, 2: { cidr: OTHER } } });
  assert.equal(datapath.send('egress', error(HOST)), 'pass');
  await datapath.apply({ rules: { 2: { cidr: OTHER } } });
  assert.equal(datapath.send('egress', error(HOST)), 'drop');
});

test('ICMP error of a flow whose host was denied: drop', async () => {
  await datapath.apply({ rules: { 1: { cn: '.example.com' }, 2: { denyCidr: HOST } } });
  assert.equal(datapath.send('egress', error(HOST)), 'drop');
});

test('ICMP error of an inbound flow: pass', () => {
  assert.equal(datapath.send('egress', error(OTHER)), 'drop');
  datapath.state.map('inbound_new').set(
    encodeStruct('flow_key', {
      local: parseAddress(localFor(OTHER)),
      remote: parseAddress(OTHER),
      local_port_be: CLIENT_PORT,
      remote_port_be: WEB_PORT,
      policy: 1,
      l4_proto: 17,
    }),
    encodeStruct('inbound', { seen_ns: process.hrtime.bigint() }),
  );
  assert.equal(datapath.send('egress', error(OTHER)), 'pass');
});
