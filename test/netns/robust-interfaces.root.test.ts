/*
 * Interfaces that go, come back, come later, or have no Ethernet header. The lab is that of robust-lab.ts, and
 *
 *   host eth9 192.0.2.101/30 ── web eth9 192.0.2.102     203.0.113.128/25; made and deleted by the tests
 *   host tun9 192.0.2.105/30 ── web tun9 192.0.2.106     203.0.113.192/26 and 2001:db8:2::/64
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { curl } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { untilListening } from '../lab/servers.ts';
import { ip, type Lab, WEB } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import type { RunningEnforcer } from './enforcer.ts';
import { chains, createRobustLab, filesOf, isOpen, l7egg, newInstance, startFor } from './robust-lab.ts';

const LIMIT_MS = 5_000;
const CURL_LATE = 28;
const BLOCKED = '203.0.113.130';
const ALLOWED = '203.0.113.131';
const FLAGS = ['-iface=eth0', '-eface=eth9', `-cidr=${ALLOWED}`];

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());
beforeEach(() => {
  for (const name of ['eth9', 'eth8']) host.run('ip', ['link', 'del', name]);
});

function addEth9(): void {
  ip(host, [`link add eth9 type veth peer name eth9 netns ${lab.web.name}`, 'link set eth9 up']);
  ip(lab.web, ['link set eth9 up', 'addr add 192.0.2.102/30 dev eth9']);
  ip(host, ['addr add 192.0.2.101/30 dev eth9', 'route add 203.0.113.128/25 via 192.0.2.102']);
}

/** Adds eth9 and resolves once the enforcer says that it is attached to it. */
async function addAndWait({ process }: RunningEnforcer): Promise<void> {
  const mark = process.mark();
  addEth9();
  await process.waitForLine(/interface "eth9" is there: attached/, LIMIT_MS, mark);
}

/** Deletes eth9 and resolves once the enforcer has noticed. */
async function deleteAndWait({ process }: RunningEnforcer): Promise<void> {
  const mark = process.mark();
  ip(host, ['link del eth9']);
  await process.waitForLine(/interface "eth9" is gone/, LIMIT_MS, mark);
}

async function assertEnforced(enforcer: RunningEnforcer, when: string, name = 'eth9'): Promise<void> {
  assert.equal(await isOpen(host, BLOCKED), false, when);
  assert.equal(await isOpen(host, ALLOWED), true, when);
  const { code, stdout } = await l7egg(host, 'status', `-instance=${enforcer.instance}`);
  assert.equal(code, 0, `${when}\n${stdout}`);
  assert.match(stdout, new RegExp(`^ +${name} +enforced$`, 'mu'), when);
}

test('an interface that is deleted and made again under its name is attached again, each time', async (context) => {
  addEth9();
  const enforcer = await startFor(context, host, FLAGS);
  await assertEnforced(enforcer, 'at first');
  for (const time of ['second', 'third']) {
    await deleteAndWait(enforcer);
    const { code, stdout } = await l7egg(host, 'status', `-instance=${enforcer.instance}`);
    assert.equal(code, 3, 'with no interface to enforce on nothing is enforced');
    assert.match(stdout, /eth9 .*not there, waited for/);
    await addAndWait(enforcer);
    await assertEnforced(enforcer, `the ${time} time`);
  }
  await enforcer.stop();
  assert.deepEqual(await chains(host), []);
  assert.equal(await isOpen(host, BLOCKED), true);
});

test('an interface that is renamed stays enforced, under each of its names', async (context) => {
  addEth9();
  const enforcer = await startFor(context, host, FLAGS);
  const rename = async (from: string, to: string) => {
    const mark = enforcer.process.mark();
    ip(host, [`link set ${from} down`, `link set ${from} name ${to}`]);
    await enforcer.process.waitForLine(new RegExp(`interface "${from}" is "${to}" now`), LIMIT_MS, mark);
    ip(host, [`link set ${to} up`, 'route add 203.0.113.128/25 via 192.0.2.102']);
    await assertEnforced(enforcer, `as ${to}`, to);
  };
  await rename('eth9', 'eth8');
  await rename('eth8', 'eth9');
});

test('an absent interface with -wait: attached when it comes', async (context) => {
  const enforcer = await startFor(context, host, [...FLAGS, '-wait']);
  assert.match(enforcer.remarks().join('\n'), /^enforcing on nothing yet.*waiting for eth9/mu);
  assert.equal((await l7egg(host, 'status', `-instance=${enforcer.instance}`)).code, 3);
  await addAndWait(enforcer);
  await assertEnforced(enforcer, 'after it came');
});

test('an absent interface that learns, with -wait: the verdict is in force before it comes', async (context) => {
  addEth9();
  const flags = ['-iface=eth0', '-iface=eth7', '-eface=eth9', `-cidr=${ALLOWED}`, '-wait'];
  const enforcer = await startFor(context, host, flags);
  await assertEnforced(enforcer, 'without eth7');
});

for (const flag of ['-iface', '-eface']) {
  test(`an absent interface as ${flag} without -wait is an error that quotes it, and changes nothing`, async () => {
    addEth9();
    const instance = newInstance();
    const others = flag === '-iface' ? ['-eface=eth9'] : ['-iface=eth9'];
    const done = await l7egg(host, `${flag}=eth7`, ...others, '-cidr=203.0.113.1', `-instance=${instance}`);
    assert.equal(done.code, 2);
    assert.match(done.stderr, /^l7egg-cli: .*"eth7".*\n$/u);
    assert.deepEqual(filesOf(instance), []);
    assert.deepEqual(await chains(host), []);
  });
}

test('what the link of an interface that is gone left is adopted and cleaned', async (context) => {
  addEth9();
  const enforcer = await startFor(context, host, FLAGS);
  enforcer.process.kill('SIGKILL');
  await enforcer.process.exited;
  ip(host, ['link del eth9']);
  addEth9();
  const status = await l7egg(host, 'status', `-instance=${enforcer.instance}`);
  assert.equal(status.code, 3, 'what is pinned enforces on an interface that is gone');
  assert.equal(await isOpen(host, BLOCKED), true);
  const next = await startFor(context, host, FLAGS, { instance: enforcer.instance });
  await assertEnforced(next, 'after the next start');
  await next.stop();
  assert.deepEqual(filesOf(enforcer.instance), []);
});

describe('a device without an Ethernet header', () => {
  const blocked = ['203.0.113.194', '2001:db8:2::194'];
  const allowed = ['203.0.113.195', '2001:db8:2::195'];

  before(async () => {
    const tun = (address: string) => `TUN:${address}/30,tun-name=tun9,iff-no-pi,iff-up`;
    const far = lab.web.spawn('socat', ['UDP4-LISTEN:9009,bind=192.0.2.80', tun('192.0.2.106')]);
    await untilListening(lab.web, far, ['udp'], 9009);
    host.spawn('socat', [`UDP4:${WEB.v4}:9009`, tun('192.0.2.105')]);
    await until(() => host.run('ip', ['link', 'show', 'dev', 'tun9']).stdout.includes('LOWER_UP'), {
      limitMs: LIMIT_MS,
      what: 'tun9',
    });
    const up = ['addr add 2001:db8:9::1/64 dev tun9 nodad', 'route add 2001:db8:2::/64 dev tun9'];
    ip(host, ['route add 203.0.113.192/26 dev tun9 src 192.0.2.105', ...up]);
    // The first datagram tells the far side where we are; until then it has nobody to send to.
    await until(() => host.run('ping', ['-c', '1', '-W', '1', '192.0.2.106']).code === 0, {
      limitMs: LIMIT_MS,
      what: 'an answer through tun9',
    });
    ip(lab.web, ['addr add 2001:db8:9::2/64 dev tun9 nodad']);
  });

  test('is enforced: blocked is refused at once, allowed passes, its packets are read', async (context) => {
    const flags = ['-iface=eth0', '-iface=tun9', '-eface=tun9', `-cidr=${allowed.join(',')}`];
    for (const address of blocked) assert.equal(await isOpen(host, address), true, address);
    const enforcer = await startFor(context, host, flags);
    const from = performance.now();
    for (const address of blocked) assert.equal(await isOpen(host, address), false, address);
    assert.ok(performance.now() - from < 1_000, 'refused, not timed out');
    for (const address of allowed) assert.equal(await isOpen(host, address), true, address);
    for (const address of blocked) {
      const { verdict, dport, iface } = await enforcer.waitForEvent(({ dst }) => dst === address);
      assert.deepEqual([verdict, dport, iface], ['deny', 80, 'tun9']);
    }
    await enforcer.stop();
    for (const address of blocked) assert.equal(await isOpen(host, address), true, address);
  });

  test('made with `ip tuntap`, nobody behind it: blocked is refused, allowed is not', async (context) => {
    host.must('ip', ['tuntap', 'add', 'mode', 'tun', 'name', 'tun8']);
    context.after(() => host.run('ip', ['link', 'del', 'tun8']));
    ip(host, ['link set tun8 up', 'addr add 192.0.2.109/30 dev tun8', 'route add 203.0.113.64/26 dev tun8']);
    await startFor(context, host, ['-iface=eth0', '-eface=tun8', '-cidr=203.0.113.65']);
    assert.equal(await isOpen(host, '203.0.113.66'), false);
    const { exitCode } = await curl(host, 'http://203.0.113.65/', { limitMs: 500 });
    assert.equal(exitCode, CURL_LATE, 'the packet goes into the device');
  });
});

test('-eface=* takes a tunnel that comes later, and no veth', async (context) => {
  addEth9();
  const enforcer = await startFor(context, host, ['-iface=eth0', '-eface=*', `-cidr=${ALLOWED}`]);
  assert.equal(await isOpen(host, BLOCKED), true, 'a veth is controlled by name only');
  const mark = enforcer.process.mark();
  host.must('ip', ['tuntap', 'add', 'mode', 'tun', 'name', 'tun7']);
  context.after(() => host.run('ip', ['link', 'del', 'tun7']));
  await enforcer.process.waitForLine(/interface "tun7" is there: attached/, LIMIT_MS, mark);
  ip(host, ['link set tun7 up', 'addr add 192.0.2.113/30 dev tun7', 'route add 203.0.113.64/26 dev tun7']);
  assert.equal(await isOpen(host, '203.0.113.66'), false);
});
