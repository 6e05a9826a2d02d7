/*
 * What the enforcer tells: JSON lines, text, the start-up lines, and -audit. test/lab/topology.ts, dnsmasq on
 * 192.0.2.53.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cgroup2PathOf } from '../../src/libbpf/cgroup2.ts';
import { dig, digShort } from '../lab/clients.ts';
import { startDnsmasq } from '../lab/resolvers.ts';
import { startWeb } from '../lab/servers.ts';
import { createLab, HOST, type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { type LoggedEvent, type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { distinctRecords, isRefused, passes, webAddress } from './learning-lab.ts';

const SOON_MS = 1_000;
const [SERVER] = RESOLVERS;
const NAMES = ['www.listed.example', 'tracker.other.test', 'free.other.test'];
const FLAGS = ['-iface=eth0', '-eface=eth0', '-cn=.listed.example'];
const CIDR = '203.0.113.200';

/** What is compared: all that does not differ from run to run. */
function gist(event: LoggedEvent): Partial<LoggedEvent> {
  const { ts: _ts, seq: _seq, sport: _sport, pid: _pid, leases: _leases, ...rest } = event;
  return rest;
}

/** What runs here is in the cgroup of this process, as the kernel calls it. */
const CURL = { comm: 'curl', exe: '/usr/bin/curl', uid: 0, cgroup: cgroup2PathOf(process.pid) };

async function createEventLab(): Promise<Lab> {
  const lab = createLab();
  await Promise.all([
    startWeb(lab.web),
    startDnsmasq(lab.dns, { addresses: [SERVER.v4], records: distinctRecords(NAMES) }),
  ]);
  lab.host.useResolvConf(`nameserver ${SERVER.v4}\n`);
  return lab;
}

describe('events as JSON', () => {
  let lab: Lab;
  let enforcer: RunningEnforcer;
  before(async () => {
    lab = await createEventLab();
    enforcer = await startEnforcer(lab.host, [...FLAGS, `-cidr=${CIDR}`]);
  });
  after(() => lab.close());

  /** Runs one curl to its end; answers its pid. */
  const fetchOnce = async (...args: readonly string[]): Promise<number> => {
    const curl = lab.host.spawn('curl', ['-sS', '-4', ...args]);
    await curl.exited;
    return curl.pid;
  };
  const common = {
    policy: 'flags',
    subject: 'host',
    direction: 'out',
    family: 'ipv4',
    src: HOST.v4,
    iface: 'eth0',
    count: 1,
    window_ms: 0,
    lost: 0,
  };

  test('a name: what its answer taught, and who connected by which rule', async () => {
    const since = enforcer.events().length;
    const pid = await fetchOnce('http://www.listed.example/');
    const flow = await enforcer.waitForEvent(
      ({ kind, verdict }) => kind === 'flow' && verdict === 'allow',
      SOON_MS,
      since,
    );
    const { v4 } = webAddress(1);
    assert.deepEqual(gist(flow), {
      ...common,
      kind: 'flow',
      verdict: 'allow',
      reason: 'rule-name',
      rule: '-cn=.listed.example',
      proto: 'tcp',
      dst: v4,
      dport: 80,
      names: ['www.listed.example'],
      ...CURL,
    });
    assert.equal(flow.pid, pid);
    assert.deepEqual(
      flow.leases?.map(({ name }) => name),
      ['www.listed.example'],
    );
    const learned = enforcer.events(since).find(({ reason }) => reason === 'learned');
    assert.deepEqual(gist(learned ?? flow), {
      ...common,
      kind: 'dns',
      verdict: 'allow',
      reason: 'learned',
      rule: '-cn=.listed.example',
      proto: 'udp',
      dst: SERVER.v4,
      dport: 53,
      qname: 'www.listed.example',
      qtype: 'a',
      rcode: 'noerror',
      addresses: [v4],
      ...CURL,
    });
  });

  test('an unlisted name: the refusal names it, the reason and the process', async () => {
    const since = enforcer.events().length;
    const pid = await fetchOnce('http://tracker.other.test:8443/');
    const told = await enforcer.waitForEvent(({ verdict }) => verdict === 'deny', SOON_MS, since);
    assert.deepEqual(gist(told), {
      ...common,
      kind: 'flow',
      verdict: 'deny',
      reason: 'no-rule',
      proto: 'tcp',
      dst: webAddress(2).v4,
      dport: 8443,
      names: ['tracker.other.test'],
      ...CURL,
    });
    assert.equal(told.pid, pid);
    assert.deepEqual(told.leases, []);
  });

  test('a listed address: the rule as it was given', async () => {
    const since = enforcer.events().length;
    await fetchOnce(`http://${CIDR}/`);
    const told = await enforcer.waitForEvent(({ dst }) => dst === CIDR, SOON_MS, since);
    assert.deepEqual([told.verdict, told.reason, told.rule], ['allow', 'rule-cidr', `-cidr=${CIDR}`]);
  });

  test('IPv6 and ICMP: family, address and type', async () => {
    const { v6 } = webAddress(100);
    const since = enforcer.events().length;
    lab.host.run('ping', ['-c', '1', '-W', '1', v6]);
    const told = await enforcer.waitForEvent(({ dst }) => dst === v6, SOON_MS, since);
    assert.deepEqual([told.family, told.proto, told.verdict], ['ipv6', 'icmpv6', 'deny']);
  });

  test('a series: the first is told at once, the next are counted', async () => {
    const since = enforcer.events().length;
    const urls = Array.from({ length: 24 }, () => 'http://203.0.113.99/');
    await fetchOnce('--rate', '20/s', ...urls);
    const told = enforcer.events(since).filter(({ dst }) => dst === '203.0.113.99');
    assert.deepEqual(told.map(({ count }) => count).slice(0, 1), [1]);
    assert.ok(told.length <= 3, `${told.length} events`);
    const folded = told.filter(({ count = 0 }) => count > 10);
    assert.ok(folded.length > 0);
    // The second behind the first: what is counted came within it.
    for (const { window_ms = 0 } of folded)
      assert.ok(window_ms >= 1_000 && window_ms < 1_500, `${window_ms}`);
    assert.equal(told[0]?.window_ms, 0);
  });

  test('a series that nothing follows: what was counted is told, too, with its window', async () => {
    const since = enforcer.events().length;
    const urls = Array.from({ length: 20 }, () => 'http://203.0.113.98/');
    await fetchOnce('--parallel', '--parallel-max', '1', ...urls);
    const told = () => enforcer.events(since).filter(({ dst }) => dst === '203.0.113.98');
    const total = () => told().reduce((sum, { count = 0 }) => sum + count, 0);
    await until(() => total() >= 20, { limitMs: 5_000, what: '20 refusals in events' });
    assert.equal(total(), 20);
    const last = told().at(-1);
    assert.deepEqual([last?.comm, last?.verdict, last?.reason], ['curl', 'deny', 'no-rule']);
    assert.ok((last?.window_ms ?? 0) >= 1_000 && (last?.window_ms ?? 0) < 5_000, `${last?.window_ms} ms`);
  });

  test('every line has its number and its time', () => {
    const events = enforcer.events();
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, index) => index + 1),
    );
    assert.ok(events.every(({ ts }) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(ts)));
  });
});

describe('events as text', () => {
  let lab: Lab;
  before(async () => {
    lab = await createEventLab();
  });
  after(() => lab.close());

  test('start-up tells the rules as understood, then that it enforces; events follow, a line each', async () => {
    const enforcer = await startEnforcer(
      lab.host,
      [...FLAGS, '-cn=ome.test', '-cidr=203.0.113.201/30', '-dns=strict'],
      { log: 'text' },
    );
    const remarks = enforcer.remarks().join('\n');
    assert.match(remarks, /names that end in "\.listed\.example"$/m);
    assert.match(remarks, /names that end in "ome\.test", which is also \S+ome\.test$/m);
    assert.match(remarks, /203\.0\.113\.201\/30.*203\.0\.113\.200\/30/);
    assert.match(remarks, /^enforcing on eth0; learning on eth0 from 192\.0\.2\.53$/m);

    const { process } = enforcer;
    await passes(lab.host, 'www.listed.example', { args: ['-4'] });
    const allowed = await process.waitForLine(/ allow .*:80\//, SOON_MS);
    assert.match(
      allowed.text,
      /^\d\d:\d\d:\d\d\.\d{3} allow {6}curl\[\d+\] www\.listed\.example 198\.51\.100\.1:80\/tcp by -cn=\.listed\.example$/,
    );
    await isRefused(lab.host, '203.0.113.99:443');
    const denied = await process.waitForLine(/ deny .*:443\//, SOON_MS);
    assert.match(
      denied.text,
      /^\d\d:\d\d:\d\d\.\d{3} deny {7}curl\[\d+\] - 203\.0\.113\.99:443\/tcp no-rule$/,
    );
    dig(lab.host, SERVER.v4, ['evil\\027[31m.other.test']);
    const escaped = await process.waitForLine(/evil.*dns-strict/, SOON_MS);
    assert.match(escaped.text, /^[\x20-\x7e]+$/);
  });
});

describe('-audit', () => {
  let lab: Lab;
  let enforcer: RunningEnforcer;
  before(async () => {
    lab = await createEventLab();
    enforcer = await startEnforcer(lab.host, [
      ...FLAGS,
      '-audit',
      '-dns=strict',
      '-deny-cidr=203.0.113.0/24',
    ]);
  });
  after(() => lab.close());

  test('says so, drops nothing and tells what would be', async () => {
    assert.match(enforcer.remarks().at(-1) ?? '', /^enforcing .*; audit: nothing is dropped$/);
    await passes(lab.host, 'www.listed.example', { args: ['-4'] });
    await passes(lab.host, '203.0.113.99');
    await passes(lab.host, '2001:db8:2::99');
    assert.equal(lab.host.run('ping', ['-c', '1', '-W', '1', '198.51.100.99']).code, 0);
    assert.deepEqual(digShort(lab.host, SERVER.v4, ['free.other.test']), [webAddress(3).v4]);
    assert.deepEqual(digShort(lab.host, SERVER.v4, ['+tcp', 'free.other.test', 'AAAA']), [webAddress(3).v6]);

    for (const [address, reason] of [
      ['203.0.113.99', 'deny-cidr'],
      ['2001:db8:2::99', 'no-rule'],
      ['198.51.100.99', 'no-rule'],
    ]) {
      const told = await enforcer.waitForEvent(({ dst }) => dst === address, SOON_MS);
      assert.deepEqual([told.verdict, told.reason], ['would_deny', reason]);
    }
    const told = await enforcer.waitForEvent(({ qname }) => qname === 'free.other.test', SOON_MS);
    assert.deepEqual([told.verdict, told.reason], ['would_deny', 'dns-strict']);
    const allowed = await enforcer.waitForEvent(({ dst }) => dst === webAddress(1).v4, SOON_MS);
    assert.deepEqual([allowed.verdict, allowed.reason], ['allow', 'rule-name']);
    assert.deepEqual(
      enforcer.events().filter(({ verdict }) => verdict === 'deny'),
      [],
    );
  });
});
