/*
 * The owner is not locked out, and what lets the owner in is no way out. The lab is that of robust-lab.ts;
 * here `web` is also the outside from which calls come in.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { startTcpEcho, startUdpEcho } from '../lab/servers.ts';
import { addNatClient, HOST, type Lab, NAT_CLIENT, RESOLVERS } from '../lab/topology.ts';
import { startEnforcer } from './enforcer.ts';
import { openEchoFlow } from './learning-flow.ts';
import {
  ALLOWED,
  ALLOWED_ADDRESS,
  BLOCKED,
  chains,
  createRobustLab,
  FLAGS,
  filesOf,
  isOpen,
  killNow,
  l7egg,
  newInstance,
  startFor,
} from './robust-lab.ts';

const LIMIT_MS = 5_000;
const OUTSIDE = '203.0.113.9';

let lab: Lab;
let host: Namespace;
let outside: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  outside = lab.web;
  await startTcpEcho(host);
  await startUdpEcho(host, 9);
});
after(() => lab.close());

describe('a session that somebody outside began', () => {
  for (const target of [`TCP4:${HOST.v4}:7`, `TCP6:[${HOST.v6}]:7`]) {
    test(`before the start goes on: ${target}`, async (context) => {
      using flow = await openEchoFlow(outside, target);
      await flow.echo('before');
      const enforcer = await startFor(context, host);
      await flow.echo('enforced');
      await killNow(enforcer);
      await flow.echo('killed');
      await startEnforcer(host, FLAGS, { instance: enforcer.instance });
      await flow.echo('restarted');
    });

    test(`after the start goes on, over kill -9 and a restart: ${target}`, async (context) => {
      const enforcer = await startFor(context, host);
      using flow = await openEchoFlow(outside, target);
      await flow.echo('enforced');
      await killNow(enforcer);
      await flow.echo('killed');
      using other = await openEchoFlow(outside, target);
      await other.echo('begun with no process');
      await startEnforcer(host, FLAGS, { instance: enforcer.instance });
      await flow.echo('restarted');
      await other.echo('restarted');
    });
  }

  for (const target of [`UDP4:${HOST.v4}:9`, `UDP6:[${HOST.v6}]:9`]) {
    test(`over UDP with a service of ours is answered: ${target}`, async (context) => {
      await startFor(context, host);
      using flow = await openEchoFlow(outside, target);
      await flow.echo('enforced');
    });
  }

  for (const address of [HOST.v4, HOST.v6]) {
    test(`ping of ${address} is answered`, async (context) => {
      await startFor(context, host);
      assert.equal(outside.run('ping', ['-c', '1', '-W', '2', address]).code, 0);
    });
  }

  test('opens nothing else: the same peer is refused when we call', async (context) => {
    await startFor(context, host);
    using flow = await openEchoFlow(outside, `TCP4:${HOST.v4}:7,bind=${OUTSIDE}`);
    await flow.echo('in');
    assert.equal(await isOpen(host, OUTSIDE), false);
    assert.equal(host.run('ping', ['-c', '1', '-W', '1', OUTSIDE]).code, 1);
  });
});

/** Watches what of host's arrives outside from this port, as tcpdump prints it. */
async function watchArrivals(filter: string): Promise<Process> {
  const words = ['-i', 'eth0', '-nn', '-l', '--immediate-mode', `src host ${HOST.v4} and (${filter})`];
  const tcpdump = outside.spawn('tcpdump', words);
  await tcpdump.waitForLine(/listening on/, LIMIT_MS);
  return tcpdump;
}

/** A TCP header without checksum, which nobody on the way looks at (RFC 9293 3.1). */
function tcpHeader(source: number, destination: number, flags: number): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(source, 0);
  header.writeUInt16BE(destination, 2);
  header.writeUInt32BE(1_000, 4);
  header.writeUInt32BE(2_000, 8);
  header.writeUInt8(0x50, 12);
  header.writeUInt8(flags, 13);
  header.writeUInt16BE(512, 14);
  return header;
}

function udpHeader(source: number, destination: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(source, 0);
  header.writeUInt16BE(destination, 2);
  header.writeUInt16BE(12, 4);
  return header;
}

/** Sends `segment` as the payload of an IPv4 packet, from a raw socket. */
function sendRaw(l4Proto: number, target: string, segment: Buffer): void {
  const done = host.run('sh', [
    '-c',
    `printf '${[...segment].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}' | socat -u - IP4-SENDTO:${target}:${l4Proto}`,
  ]);
  assert.equal(done.code, 0, done.stderr);
}

const PORT = 5_555;
const REPLIES = [
  { what: 'SYN and ACK', l4Proto: 6, segment: tcpHeader(7, PORT, 0x12) },
  { what: 'ACK', l4Proto: 6, segment: tcpHeader(7, PORT, 0x10) },
  { what: 'RST', l4Proto: 6, segment: tcpHeader(7, PORT, 0x04) },
  { what: 'FIN and ACK', l4Proto: 6, segment: tcpHeader(7, PORT, 0x11) },
  { what: 'UDP from a port that serves', l4Proto: 17, segment: udpHeader(9, PORT) },
  { what: 'UDP from port 53', l4Proto: 17, segment: udpHeader(53, PORT) },
];

describe('a packet that looks like a reply, without an inbound flow, does not leave:', () => {
  for (const { what, l4Proto, segment } of REPLIES) {
    test(what, async (context) => {
      await startFor(context, host, [...FLAGS, `-cidr=${ALLOWED_ADDRESS}`]);
      using tcpdump = await watchArrivals(`port ${PORT}`);
      sendRaw(l4Proto, OUTSIDE, segment);
      sendRaw(l4Proto, ALLOWED_ADDRESS, segment);
      // Packets stay in order, so what was sent first would be here first.
      await tcpdump.waitForLine(
        new RegExp(`> ${ALLOWED_ADDRESS.replaceAll('.', '\\.')}\\.${PORT}`, 'u'),
        LIMIT_MS,
      );
      const arrived = tcpdump.lines.filter(({ text }) => text.includes(` > ${OUTSIDE}`));
      assert.deepEqual(arrived, []);
    });
  }

  test('a call from the peer does not let our call to it pass', async (context) => {
    const enforcer = await startFor(context, host);
    // Nobody listens there: the kernel refuses, and the peer's SYN has been seen.
    const called = outside.run('socat', [
      '-u',
      'OPEN:/dev/null',
      `TCP4:${HOST.v4}:4444,bind=${OUTSIDE}:4445,reuseaddr`,
    ]);
    assert.match(called.stderr, /refused/);
    const calling = host.run('socat', ['-u', 'OPEN:/dev/null', `TCP4:${OUTSIDE}:4445,bind=:4444,reuseaddr`]);
    assert.match(calling.stderr, /refused/);
    const event = await enforcer.waitForEvent(({ dport }) => dport === 4445);
    assert.equal(event.verdict, 'deny');
    assert.equal(event.sport, 4444);
  });
});

/** bash that holds a connection to `peer` and then starts an enforcer with `flags`. */
function startOver(
  context: TestContext,
  peer: string,
  flags: readonly string[],
): { session: Process; instance: string } {
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const command = `exec 3<>/dev/tcp/${peer}/7; ${findCli()} "$@"; exit $?`;
  const words = ['-c', command, 'bash', ...FLAGS, ...flags, `-instance=${instance}`];
  return { session: host.spawn('bash', words), instance };
}

describe('the session that starts us is an outbound connection', () => {
  test('that no rule allows: exit 4 that names the peer, and nothing is changed', async (context) => {
    const { session, instance } = startOver(context, BLOCKED, []);
    assert.deepEqual(await session.exited, { code: 4, signal: null });
    assert.equal(session.lines.filter(({ text }) => text.startsWith('l7egg-cli: ')).length, 1);
    assert.match(session.tail(), new RegExp(`${BLOCKED.replaceAll('.', '\\.')} port 7.*-cidr=.*-force`, 'u'));
    assert.equal(await isOpen(host, BLOCKED), true);
    assert.deepEqual(filesOf(instance), []);
    assert.deepEqual(await chains(host), []);
  });

  const ALLOWING = [
    { what: 'that -force gives up', peer: BLOCKED, flags: ['-force'] },
    { what: 'that -audit leaves alone', peer: BLOCKED, flags: ['-audit'] },
    { what: 'that a prefix allows', peer: BLOCKED, flags: ['-cidr=203.0.113.64/26'] },
    { what: 'that an exact name allows', peer: BLOCKED, flags: ['-name=www.no.example'] },
  ];
  for (const { what, peer, flags } of ALLOWING) {
    test(`${what}: starts`, async (context) => {
      const { session, instance } = startOver(context, peer, flags);
      await session.waitForLine(/^enforcing/, LIMIT_MS);
      assert.equal((await l7egg(host, 'stop', `-instance=${instance}`)).code, 0);
      assert.deepEqual(await session.exited, { code: 0, signal: null });
    });
  }

  test('of which the rule has other ports: exit 4', async (context) => {
    const { session } = startOver(context, BLOCKED, [`-cidr=${BLOCKED}`, '-port=443']);
    assert.equal((await session.exited).code, 4);
  });
});

test('a forwarded call is none of the host: judged where it leaves, though both sides are enforced', async (context) => {
  const client = addNatClient(lab);
  client.useResolvConf(`nameserver ${RESOLVERS[0].v4}\n`);
  const sides = ['-iface=eth0', '-eface=eth0', '-eface=lan0', '-cn=.ok.example', `-cidr=${NAT_CLIENT.v4}`];
  await startFor(context, host, sides);
  assert.equal(await isOpen(client, ALLOWED), true);
  assert.equal(await isOpen(client, BLOCKED), false);
  assert.equal(await isOpen(client, BLOCKED), false, 'the first call did not open the way for the next');
});
