/*
 * Ends of flows, and what they carried, as the real enforcer tells them. The lab of subject-lab.ts, and a client behind
 * NAT (test/lab/topology.ts):
 *
 *   client ── lan0 host eth0 ── wire ── web: nginx on 80, echo of TCP and UDP on 7
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Pins } from '../../src/datapath/pins.ts';
import { writeStruct } from '../../src/datapath/struct.ts';
import { BpfMap } from '../../src/libbpf/map.ts';
import type { Cgroup } from '../lab/cgroup.ts';
import type { Namespace } from '../lab/namespace.ts';
import { addNatClient, RESOLVERS } from '../lab/topology.ts';
import { type LoggedEvent, type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

const LIMIT_MS = 5_000;
const SOON_MS = 2_000;
/** Between two sweeps for idle flows there are 15 s. */
const SWEEP_MS = 20_000;
const IDLE_NS = 61_000_000_000n;
const FLAGS = ['-iface=eth0', '-eface=eth0', '-cidr=198.51.100.0/24', `-resolver=${RESOLVERS[0].v4}`];

let lab: SubjectLab;
let client: Namespace;
let enforcer: RunningEnforcer;
let used = 0;
before(async () => {
  lab = await createSubjectLab();
  client = addNatClient(lab.lab);
  enforcer = await startEnforcer(lab.host, FLAGS);
});
after(() => lab.close());

/** An address that the rule allows and nobody has called yet. */
function target(): string {
  used += 1;
  return `198.51.100.${used}`;
}

function endOf(address: string, limitMs = SOON_MS): Promise<LoggedEvent> {
  return enforcer.waitForEvent(({ dst, reason }) => dst === address && reason === 'ended', limitMs);
}

/** Makes all flows of an instance as if last seen a minute ago. */
function ageFlows(instance: string): void {
  using map = BpfMap.openPinned(new Pins(instance).map('flows'));
  assert.ok(map);
  const seen = process.hrtime.bigint() - IDLE_NS;
  for (const [key, value] of [...map.entries()]) {
    writeStruct(value, 0, 'flow', { seen_ns: seen });
    map.set(key, value);
  }
}

/** Fetches by curl; answers what it says that it sent and got, headers included. */
async function fetch(
  place: { runAsync: Namespace['runAsync'] },
  address: string,
  ...args: readonly string[]
) {
  const format = '%{size_request} %{size_header} %{size_download}';
  const words = ['-sS', '-o', '/dev/null', '-w', format, ...args, `http://${address}/`];
  const done = await place.runAsync('curl', words);
  assert.equal(done.code, 0, done.stderr);
  const [sent = 0, header = 0, body = 0] = done.stdout.split(' ').map(Number);
  return { sent, received: header + body };
}

describe('TCP of this host', () => {
  test('that this end closes first: payload of both directions, by whom and by which rule', async () => {
    const address = target();
    const { sent, received } = await fetch(lab.host, address);
    const told = await endOf(address);
    assert.deepEqual(
      [told.kind, told.verdict, told.rule, told.iface, told.proto, told.dport, told.comm, told.exe],
      ['flow', 'allow', '-cidr=198.51.100.0/24', 'eth0', 'tcp', 80, 'curl', '/usr/bin/curl'],
    );
    assert.deepEqual([told.bytes, told.bytes_in], [sent, received]);
    assert.ok((told.packets ?? 0) >= 3 && (told.packets_in ?? 0) >= 2);
    const began = enforcer.events().find(({ dst }) => dst === address);
    assert.deepEqual([began?.sport, began?.reason], [told.sport, 'rule-cidr']);
  });

  test('that the other end closes first', async () => {
    const address = target();
    const { sent, received } = await fetch(lab.host, address, '-H', 'Connection: close');
    const told = await endOf(address);
    assert.deepEqual([told.bytes, told.bytes_in], [sent, received]);
  });

  test('of which each direction is closed on its own, with much data', async () => {
    const address = target();
    const length = 3_000_000;
    // No echo: socat's waits for itself when both directions are full.
    const serve = `require('net').createServer({ allowHalfOpen: true }, (peer) => {
      peer.resume().end(Buffer.alloc(${length}));
    }).listen(4000, () => console.log('listening'))`;
    const server = lab.lab.web.spawn(process.execPath, ['-e', serve]);
    await server.waitForLine(/^listening$/, LIMIT_MS);
    const script = `head -c ${length} /dev/zero | socat -t 5 - TCP:${address}:4000 | wc -c`;
    assert.equal(Number(lab.host.must('sh', ['-c', script])), length);
    const told = await endOf(address);
    assert.deepEqual([told.bytes, told.bytes_in], [length, length]);
  });

  test('over IPv6', async () => {
    const address = '2001:db8:2::77';
    const six = await startEnforcer(
      lab.lab.dns,
      ['-iface=eth0', '-eface=eth0', '-cidr=2001:db8:2::/64', `-resolver=${RESOLVERS[1].v4}`],
      {},
    );
    const { sent, received } = await fetch(lab.lab.dns, `[${address}]`);
    const told = await six.waitForEvent(({ dst, reason }) => dst === address && reason === 'ended', SOON_MS);
    assert.deepEqual([told.family, told.bytes, told.bytes_in], ['ipv6', sent, received]);
    await six.stop();
  });

  test('whose process is killed', async () => {
    const address = target();
    const socat = lab.host.spawn('socat', ['-u', 'SYSTEM:"printf hello; sleep 60"', `TCP:${address}:7`]);
    await enforcer.waitForEvent(({ dst }) => dst === address, SOON_MS);
    socat.kill('SIGKILL');
    assert.equal((await endOf(address)).bytes_in !== undefined, true);
  });

  test('that the other end refuses: nothing carried', async () => {
    const address = target();
    assert.equal(await lab.came(lab.host, 'tcp4', address, '81'), 'ECONNREFUSED');
    const told = await endOf(address);
    assert.deepEqual([told.bytes, told.bytes_in], [0, 0]);
  });

  test('that is refused by us, or goes nowhere near us, has no end; one event for each that has', async () => {
    const address = target();
    await lab.came(lab.host, 'tcp4', '203.0.113.1', '80'); // no rule
    await fetch(lab.lab.dns, '198.51.100.250'); // in another network namespace
    lab.host.run('bash', ['-c', 'exec 3<>/dev/tcp/127.0.0.1/9']); // over lo
    await fetch(lab.host, address);
    await endOf(address);
    const ends = enforcer.events().filter(({ reason }) => reason === 'ended');
    const strange = ends.filter(({ dst = '' }) => !dst.startsWith('198.51.100.') || dst.endsWith('.250'));
    assert.deepEqual(strange, []);
    assert.equal(new Set(ends.map(({ dst, sport }) => `${dst} ${sport}`)).size, ends.length);
  });
});

describe('what has no end of its own, told when it is idle', () => {
  test('UDP and ICMP: payload and packets that left', async () => {
    const [udp, icmp, live] = [target(), target(), target()];
    lab.host.must('bash', [
      '-c',
      `exec 5<>/dev/udp/${udp}/7; for text in one three fifteen; do printf $text >&5; done`,
    ]);
    lab.host.must('ping', ['-c', '3', '-i', '0.2', '-s', '100', icmp]);
    ageFlows(enforcer.instance);
    await lab.came(lab.host, 'udp4', live, '7');
    const [first, second] = await Promise.all([endOf(udp, SWEEP_MS), endOf(icmp, SWEEP_MS)]);
    assert.deepEqual(
      [first.bytes, first.packets, first.bytes_in, first.proto, first.dport, first.comm, first.rule],
      ['onethreefifteen'.length, 3, undefined, 'udp', 7, 'bash', '-cidr=198.51.100.0/24'],
    );
    assert.deepEqual([second.bytes, second.packets, second.proto], [300, 3, 'icmp']);
    // One that is not idle is left in peace.
    assert.equal(
      enforcer.events().some(({ dst, reason }) => dst === live && reason === 'ended'),
      false,
    );
  });
});

describe('what is forwarded', () => {
  test('TCP: told with its FIN, what left', async () => {
    const address = target();
    const { sent } = await fetch(client, address);
    const told = await endOf(address);
    assert.deepEqual(
      [told.bytes, told.bytes_in, told.pid, told.rule],
      [sent, undefined, undefined, '-cidr=198.51.100.0/24'],
    );
    assert.ok((told.packets ?? 0) >= 3);
  });
});

describe('a subject', () => {
  test('its TCP and UDP end as those of the host, in its name', async () => {
    const cgroup: Cgroup = lab.a;
    const [tcp, udp] = [target(), target()];
    const judge = await startEnforcer(lab.host, [
      `-cgroup=${cgroup.path}`,
      '-cidr=198.51.100.0/24',
      `-resolver=${RESOLVERS[0].v4}`,
    ]);
    const { sent, received } = await fetch(cgroup, tcp);
    await lab.came(cgroup, 'udp4', udp, '7', '616263');
    const end = await judge.waitForEvent(({ dst, reason }) => dst === tcp && reason === 'ended', SOON_MS);
    assert.deepEqual(
      [end.subject, end.cgroup, end.bytes, end.bytes_in],
      [`cgroup:${cgroup.path}`, cgroup.path, sent, received],
    );
    ageFlows(judge.instance);
    const idle = await judge.waitForEvent(({ dst, reason }) => dst === udp && reason === 'ended', SWEEP_MS);
    assert.deepEqual([idle.bytes, idle.packets], [3, 1]);
    await judge.stop();
  });
});
