/*
 * Whom nobody trusts: a resolver behind a tunnel device, one that resolv.conf comes to name, answers that point inward.
 * The lab is that of subject-lab.ts; 10.9.9.9 is an address of `web`, and `other` a second DNS server.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Place } from '../lab/clients.ts';
import { createNamespace, type Namespace } from '../lab/namespace.ts';
import { giveOwnEtc } from '../lab/own-etc.ts';
import type { Process } from '../lab/process.ts';
import { addressRecords } from '../lab/records.ts';
import { startDnsmasq } from '../lab/resolvers.ts';
import { ip, RESOLVERS, WEB } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { isRefused, passes, webAddress } from './learning-lab.ts';
import { l7egg, newInstance } from './robust-lab.ts';
import { createSubjectLab, RESOLVER, type SubjectLab } from './subject-lab.ts';

const NAME = 'one.ok.example';
const TRUE = webAddress(1).v4;
const FAKE = '203.0.113.200';
const INWARD = { name: 'inward.ok.example', address: '10.9.9.9' };
const ALLOW = ['-cn=.ok.example'];
const BY_INTERFACE = ['-iface=eth0', '-eface=eth0', '-eface=*'];
const LIMIT_MS = 5_000;

/*
 * RESOLVER ADDRESS: makes a tunnel device that leads to the resolver, stands there itself, and answers each question with
 * ADDRESS. The device goes with the process.
 */
const TUNNEL = `
import fcntl, os, socket, struct, subprocess, sys
resolver, address = sys.argv[1:3]
tun = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH22x', b'tun6', 0x1001))
for words in ('addr add 192.0.2.121/30 dev tun6', 'link set tun6 up', 'route add %s/32 dev tun6' % resolver):
    subprocess.check_call(['ip'] + words.split())
print('ready', flush=True)

def total(data):
    words = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while words >> 16:
        words = (words & 0xffff) + (words >> 16)
    return ~words & 0xffff

while True:
    packet = os.read(tun, 2000)
    if packet[0] != 0x45 or packet[9] != 17 or packet[22:24] != b'\\0\\x35':
        continue
    query = packet[28:]
    end = query.index(b'\\0', 12) + 5
    record = b'\\xc0\\x0c\\0\\x01\\0\\x01' + struct.pack('!IH', 300, 4) + socket.inet_aton(address)
    answer = query[:2] + struct.pack('!5H', 0x8180, 1, 1, 0, 0) + query[12:end] + record
    udp = b'\\0\\x35' + packet[20:22] + struct.pack('!HH', 8 + len(answer), 0) + answer
    header = lambda check: struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(udp), 1, 0, 64, 17, check) + packet[16:20] + packet[12:16]
    os.write(tun, header(total(header(0))) + udp)
`;

describe('whom nobody trusts', () => {
  let lab: SubjectLab;
  let inner: Namespace;
  let script: string;
  let resolvConf: string;
  before(async () => {
    lab = await createSubjectLab(addressRecords(INWARD.name, [INWARD.address]));
    inner = lab.lab.use(createNamespace('inner'));
    ip(lab.lab.web, [`addr add ${INWARD.address}/32 dev lo`]);
    ip(lab.host, [`route add ${INWARD.address}/32 via ${WEB.v4}`]);
    resolvConf = join(giveOwnEtc(lab.host), 'resolv.conf');
    script = join(lab.host.directory, 'tunnel.py');
    writeFileSync(script, TUNNEL);
  });
  after(() => lab.close());

  async function lookUp(place: Place, server: string, name = NAME): Promise<string> {
    const { stdout } = await place.runAsync('dig', [`@${server}`, '+time=1', '+tries=1', '+short', name]);
    return stdout.trim();
  }

  async function startTunnel(namespace: Namespace): Promise<Process> {
    const tunnel = namespace.spawn('python3', [script, RESOLVER.v4, FAKE]);
    await tunnel.waitForLine(/^ready$/u, LIMIT_MS);
    return tunnel;
  }

  test('a resolver behind a tunnel device teaches the host nothing, though that device is controlled', async (context) => {
    await lab.enforce(context, [...BY_INTERFACE, ...ALLOW]);
    const tunnel = await startTunnel(lab.host);
    assert.equal(await lookUp(lab.host, RESOLVER.v4), FAKE);
    await isRefused(lab.host, FAKE);
    await tunnel.stop();
    assert.equal(await lookUp(lab.host, RESOLVER.v4), TRUE);
    await passes(lab.host, TRUE);
    await isRefused(lab.host, FAKE);
  });

  test('a resolver behind a tunnel device teaches a subject nothing in a namespace of its own', async (context) => {
    await lab.judge(context, [lab.a], [...ALLOW, `-cidr=${RESOLVER.v4}`]);
    const tunnel = await startTunnel(inner);
    assert.equal(await lookUp(lab.a.in(inner), RESOLVER.v4), FAKE, 'a rule lets it ask there');
    await isRefused(lab.a, FAKE);
    assert.equal(await lab.came(lab.a.in(inner), 'tcp4', FAKE, '80'), 'EPERM');
    await tunnel.stop();
    await passes(lab.a, NAME, { args: ['-4'] });
    await passes(lab.a, TRUE);
  });

  test('a resolver that the workload writes into resolv.conf teaches it nothing until the owner reloads', async (context) => {
    const other = RESOLVERS[1].v4;
    const faking = await startDnsmasq(lab.lab.dns, {
      addresses: [other],
      records: addressRecords(NAME, [FAKE]),
    });
    writeFileSync(resolvConf, `nameserver ${RESOLVER.v4}\n`);
    context.after(() => writeFileSync(resolvConf, `nameserver ${RESOLVER.v4}\n`));
    // No -resolver: those of resolv.conf are trusted, as it was at the start.
    const flags = ['-mode=cgroup', `-cgroup=${lab.a.path}`, ...ALLOW, `-cidr=${other}`];
    const enforcer = await startOnHost(flags);
    context.after(() => l7egg(lab.host, 'clean', `-instance=${enforcer.instance}`));
    writeFileSync(resolvConf, `nameserver ${other}\n`);
    await enforcer.process.waitForLine(/^trusted resolvers changed from .* to /u, LIMIT_MS);
    assert.equal(await lookUp(lab.a, other), FAKE, 'a rule lets it ask there');
    await isRefused(lab.a, FAKE);
    assert.equal(await lookUp(lab.a, RESOLVER.v4), TRUE);
    await passes(lab.a, TRUE);
    assert.equal((await l7egg(lab.host, 'reload', `-instance=${enforcer.instance}`)).code, 0);
    assert.equal(await lookUp(lab.a, other), FAKE);
    await passes(lab.a, FAKE);
    await faking.stop();
  });

  function startOnHost(flags: readonly string[]): Promise<RunningEnforcer> {
    return startEnforcer(lab.host, flags, { instance: newInstance() });
  }

  test('an answer that points inward teaches a subject nothing, unless a rule covers it', async (context) => {
    const call = () => lab.came(lab.a, 'tcp4', INWARD.address, '80');
    assert.equal(await call(), 'ok', 'before');
    const closed = await lab.judge(context, [lab.a], ALLOW);
    assert.equal(await lookUp(lab.a, RESOLVER.v4, INWARD.name), INWARD.address);
    assert.equal(await call(), 'EPERM');
    await closed.waitForEvent(({ reason, qname }) => reason === 'dns-inward' && qname === INWARD.name);
    await closed.stop();
    const open = await lab.judge(context, [lab.a], [...ALLOW, '-allow-private-answers']);
    assert.equal(await call(), 'EPERM', 'not before it is looked up');
    assert.equal(await lookUp(lab.a, RESOLVER.v4, INWARD.name), INWARD.address);
    assert.equal(await call(), 'ok');
    await open.stop();
  });
});
