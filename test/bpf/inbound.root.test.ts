import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { createServer, connect as tcpConnect } from 'node:net';
import { beforeEach, test } from 'node:test';
import { setEnforced } from '../../src/datapath/host-facts.ts';
import { readInterface } from '../../src/libbpf/ifindex.ts';
import { enterScratchNetns, ip } from '../libbpf/namespace.ts';
import { inbound, LOCAL4, LOCAL6, outbound } from './frames.ts';
import { useHarness, type Verdict } from './harness.ts';
import { icmp, icmpv6, type Segment, tcp, tcpData, udp } from './segments.ts';

/*
 * A namespace whose interface leads to nobody; packets of PEER are bytes of a test run:
 *   sockets on 192.0.2.10, 2001:db8::10 ── l7e0 ── l7e1
 */
const PEER = '203.0.113.9';
const PEER6 = '2001:db8:2::9';
const PEER_PORT = 5000;
const LOOPBACK = 1;

enterScratchNetns();
ip('link add l7e0 type veth peer name l7e1');
ip('link set l7e1 up');
ip(`address add ${LOCAL4}/24 dev l7e0`);
ip(`address add ${LOCAL6}/64 dev l7e0 nodad`);
ip('link set l7e0 up');
ip('route add default dev l7e0');
ip('-6 route add default dev l7e0');
const datapath = await useHarness('egress', 'arrive', 'learn');

const NO_RULE = {};
beforeEach(() => datapath.ensure(NO_RULE));

const arrive = (segment: Segment, from = PEER) =>
  assert.equal(datapath.send('arrive', inbound(from, segment)), 'pass');
const reply = (segment: Segment, to = PEER): Verdict => datapath.send('egress', outbound(to, segment));
const fromPeer = (flags: string, to = 22) => tcp({ from: PEER_PORT, to, flags });
const toPeer = (flags: string, from = 22) => tcp({ from, to: PEER_PORT, flags });

for (const peer of [PEER, PEER6]) {
  test(`a call from ${peer}: its replies pass, before and after the handshake`, () => {
    assert.equal(reply(toPeer('SA'), peer), 'refuse');
    arrive(fromPeer('S'), peer);
    assert.equal(reply(toPeer('SA'), peer), 'pass');
    arrive(fromPeer('A'), peer);
    assert.equal(reply(tcpData({ from: 22, to: PEER_PORT }), peer), 'pass');
    assert.equal(reply(toPeer('FA'), peer), 'pass');
  });
}

const NOT_REPLIES: readonly (readonly [what: string, segment: Segment, to: string, verdict: Verdict])[] = [
  ['a SYN back', toPeer('S'), PEER, 'refuse'],
  ['data from another port', toPeer('A', 23), PEER, 'refuse'],
  ['data to another port', tcp({ from: 22, to: PEER_PORT + 1, flags: 'A' }), PEER, 'refuse'],
  ['data to another host', toPeer('A'), '203.0.113.10', 'refuse'],
  ['UDP with the same ports', udp({ from: 22, to: PEER_PORT }), PEER, 'refuse'],
  ['RST from another port', toPeer('R', 23), PEER, 'drop'],
];
for (const [what, segment, to, verdict] of NOT_REPLIES) {
  test(`${what} is no reply to a call: ${verdict}`, () => {
    arrive(fromPeer('S'));
    arrive(fromPeer('A'));
    assert.equal(reply(segment, to), verdict);
  });
}

for (const flags of ['SA', 'A', 'PA', 'R', 'FA', '']) {
  test(`TCP with flags "${flags}" that arrives opens nothing`, () => {
    arrive(fromPeer(flags));
    assert.equal(reply(toPeer('A')), 'refuse');
  });
}

test('RST of ours ends an inbound flow', () => {
  arrive(fromPeer('S'));
  arrive(fromPeer('A'));
  assert.equal(reply(toPeer('RA')), 'pass');
  assert.equal(reply(toPeer('A')), 'refuse');
});

test('an inbound TCP flow is not ended by time or by a swap', async () => {
  arrive(fromPeer('S'));
  arrive(fromPeer('A'));
  datapath.age('inbound', 100_000);
  await datapath.apply({});
  assert.equal(reply(toPeer('A')), 'pass');
});

test('a call seen by a program that only learns opens nothing', () => {
  datapath.send('learn', inbound(PEER, fromPeer('S')));
  assert.equal(reply(toPeer('SA')), 'refuse');
});

test('a packet that came in from an enforced interface is no reply, from another it is', () => {
  arrive(fromPeer('S'));
  setEnforced(datapath.state, [LOOPBACK]);
  const device = readInterface('l7e0')?.ifindex ?? assert.fail('no interface l7e0');
  const packet = outbound(PEER, toPeer('SA'));
  assert.equal(datapath.send('egress', packet, { ingressIfindex: LOOPBACK }), 'refuse');
  assert.equal(datapath.send('egress', packet, { ingressIfindex: device }), 'pass');
  assert.equal(datapath.send('egress', packet), 'pass');
});

const bound = async (port: number, address: string) => {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  await new Promise<void>((resolve) => socket.bind(port, address, resolve));
  return socket;
};
const udpCall = udp({ from: PEER_PORT, to: 4000 });
const udpReply = udp({ from: 4000, to: PEER_PORT });

for (const [peer, local] of [
  [PEER, LOCAL4],
  [PEER6, LOCAL6],
] as const) {
  test(`UDP from ${peer} to a bound socket opens a flow, to no socket none`, async () => {
    arrive(udpCall, peer);
    assert.equal(reply(udpReply, peer), 'refuse');
    const socket = await bound(4000, local);
    try {
      arrive(udpCall, peer);
      assert.equal(reply(udpReply, peer), 'pass');
      assert.equal(reply(udp({ from: 4000, to: PEER_PORT + 1 }), peer), 'refuse');
      datapath.age('inbound_new', 59);
      assert.equal(reply(udpReply, peer), 'pass');
      datapath.age('inbound_new', 61);
      assert.equal(reply(udpReply, peer), 'refuse');
    } finally {
      socket.close();
    }
  });
}

test('UDP to a connected socket, a client, opens nothing', async () => {
  const socket = await bound(4000, LOCAL4);
  try {
    await new Promise<void>((resolve) => socket.connect(PEER_PORT, PEER, resolve));
    arrive(udpCall);
    assert.equal(reply(udpReply), 'refuse');
  } finally {
    socket.close();
  }
});

test('UDP that answers a flow of ours opens nothing', async () => {
  const socket = await bound(4000, LOCAL4);
  try {
    await datapath.apply({ rules: { 1: { cidr: PEER } } });
    assert.equal(reply(udpReply), 'pass');
    arrive(udpCall);
    await datapath.apply({});
    assert.equal(reply(udpReply), 'refuse');
  } finally {
    socket.close();
  }
});

test('a SYN that crosses our own opens nothing; to a listener it does', async () => {
  const caller = tcpConnect({ host: PEER, port: PEER_PORT, localAddress: LOCAL4, localPort: 4001 });
  caller.on('error', () => {}); // nobody answers: it ends with destroy
  const server = createServer();
  try {
    await new Promise<void>((resolve) => server.listen(4002, LOCAL4, resolve));
    arrive(fromPeer('S', 4001));
    assert.equal(reply(toPeer('SA', 4001)), 'refuse');
    arrive(fromPeer('S', 4002));
    assert.equal(reply(toPeer('SA', 4002)), 'pass');
  } finally {
    caller.destroy();
    server.close();
  }
});

const ECHO: readonly (readonly [peer: string, ask: Segment, answer: Segment, other: Segment])[] = [
  [
    PEER,
    icmp({ type: 8, identifier: 5 }),
    icmp({ type: 0, identifier: 5 }),
    icmp({ type: 0, identifier: 6 }),
  ],
  [
    PEER6,
    icmpv6({ type: 128, identifier: 5 }),
    icmpv6({ type: 129, identifier: 5 }),
    icmpv6({ type: 129, identifier: 6 }),
  ],
];
for (const [peer, ask, answer, other] of ECHO) {
  test(`an echo request from ${peer}: its reply passes, others and requests do not`, () => {
    assert.equal(reply(answer, peer), 'drop');
    arrive(ask, peer);
    assert.equal(reply(answer, peer), 'pass');
    assert.equal(reply(other, peer), 'drop');
    assert.equal(reply(ask, peer), 'refuse');
    datapath.age('inbound_new', 61);
    assert.equal(reply(answer, peer), 'drop');
  });
}

test('with -inbound=22 a call to 22 is taken, one to 23 is not', async () => {
  await datapath.apply({ inbound: ['22'] });
  arrive(fromPeer('S', 22));
  arrive(fromPeer('S', 23));
  assert.equal(reply(toPeer('SA', 22)), 'pass');
  assert.equal(reply(toPeer('SA', 23)), 'refuse');
});
