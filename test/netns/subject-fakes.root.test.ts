/*
 * Fake resolvers: who can make network namespaces and sockets at will can't teach a subject anything. The lab is that
 * of subject-lab.ts.
 *
 *   own network namespace, made by A (unshare -n): lo with the trusted resolver's address, and a fake resolver there
 *   that says evil.ok.example is 203.0.113.200
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { encode } from 'dns-packet';
import { createNamespace, type Namespace } from '../lab/namespace.ts';
import { addressRecords } from '../lab/records.ts';
import { startDnsmasq } from '../lab/resolvers.ts';
import { untilListening } from '../lab/servers.ts';
import { HOST, ip } from '../lab/topology.ts';
import { isRefused, passes, webAddress } from './learning-lab.ts';
import { createSubjectLab, RESOLVER, type SubjectLab } from './subject-lab.ts';

const EVIL = 'evil.ok.example';
const FAKE = '203.0.113.200';
const REAL = webAddress(100);
const STUB = '127.0.0.53';
const OTHER_STUB = '127.0.0.54';
const ALLOW = ['-cn=.ok.example'];
const QUERY = (server: string, name: string) => [`@${server}`, '+time=1', '+tries=1', '+short', name];

describe('fake resolvers', () => {
  let lab: SubjectLab;
  let inner: Namespace;
  before(async () => {
    lab = await createSubjectLab(addressRecords(EVIL, [REAL.v4], 60));
    // Where a subject can be by itself: everything that it might bind or route there is its own.
    inner = lab.lab.use(createNamespace('inner'));
    ip(inner, [
      `addr add ${RESOLVER.v4}/32 dev lo`,
      `addr add ${STUB}/32 dev lo`,
      `addr add ${FAKE}/32 dev lo`,
      `addr add ${HOST.v4}/32 dev lo`,
    ]);
    inner.useResolvConf(`nameserver ${RESOLVER.v4}\n`);
  });
  after(() => lab.close());

  const records = addressRecords(EVIL, [FAKE], 60);

  for (const [label, server] of [
    ['the trusted address', RESOLVER.v4],
    ['127.0.0.53', STUB],
  ] as const) {
    test(`at ${label} in a namespace of its own teaches nothing`, async (context) => {
      const trusted = server === STUB ? [`-resolver=${STUB}`] : [];
      if (server === STUB) await startDnsmasq(lab.host, { addresses: [STUB], records: records.slice(0, 0) });
      const faking = await startDnsmasq(inner, { addresses: [server], records });
      await lab.judge(context, [lab.a], [...ALLOW, ...trusted]);
      const within = lab.a.in(inner);
      for (const proto of ['+notcp', '+tcp']) {
        await within.runAsync('dig', [...QUERY(server, EVIL), proto]);
        await isRefused(lab.a, FAKE);
        assert.equal(await lab.came(within, 'tcp4', FAKE, '80'), 'EPERM', 'there neither');
      }
      await faking.stop();
    });
  }

  test('of the subject itself, in a namespace of its own, teaches nothing though it is answered', async (context) => {
    await lab.judge(context, [lab.a], ALLOW);
    const within = lab.a.in(inner);
    const faking = within.spawn('dnsmasq', [
      '--keep-in-foreground',
      '--no-resolv',
      '--no-hosts',
      '--conf-file=/dev/null',
      '--pid-file=',
      '--user=root',
      '--bind-interfaces',
      `--listen-address=${RESOLVER.v4}`,
      `--address=/${EVIL}/${FAKE}`,
    ]);
    await untilListening(inner, faking, ['udp', 'tcp'], 53);
    for (const proto of ['+notcp', '+tcp']) {
      await within.runAsync('dig', [...QUERY(RESOLVER.v4, EVIL), proto]);
      await isRefused(lab.a, FAKE);
      assert.equal(await lab.came(within, 'tcp4', FAKE, '80'), 'EPERM');
    }
    await faking.stop();
    await passes(lab.a, EVIL);
  });

  test('the tree is judged in every network namespace', async (context) => {
    const outside = lab.lab.join('outside', [{ v4: '192.0.2.99', v6: '2001:db8:1::99' }]);
    ip(outside, ['route add default via 192.0.2.80', 'route add default via 2001:db8:1::80']);
    const within = lab.a.in(outside);
    assert.equal(await lab.came(within, 'tcp4', FAKE, '80'), 'ok', 'before');
    const enforcer = await lab.judge(context, [lab.a], [...ALLOW, '-cidr=198.51.100.7,2001:db8:2::7']);
    for (const [family, no, ok] of [
      [4, FAKE, '198.51.100.7'],
      [6, '2001:db8:2::66', '2001:db8:2::7'],
    ] as const) {
      assert.equal(await lab.came(within, `tcp${family}`, no, '80'), 'EPERM');
      assert.equal(await lab.came(within, `udp${family}`, no, '7'), 'EPERM');
      assert.equal(await lab.came(within, `tcp${family}`, ok, '80'), 'ok');
      assert.equal(await lab.came(within, `udp${family}`, ok, '7'), 'ok');
    }
    const event = await enforcer.waitForEvent(
      ({ proto, dst, verdict }) => proto === 'udp' && dst === FAKE && verdict === 'deny',
    );
    assert.equal(event.iface, '-', 'no interface of ours');
    // The true resolver is not trusted from there, for it could be anybody.
    assert.equal(await lab.came(within, 'udp4', RESOLVER.v4, '53'), 'EPERM');
    await enforcer.stop();
    assert.equal(await lab.came(within, 'tcp4', FAKE, '80'), 'ok', 'after');
  });

  test('what a subject sends from the address and port of a trusted resolver is dropped', async (context) => {
    const forge = (place: typeof lab.a, from: string, port: string) =>
      lab.came(place, 'forge', from, port, HOST.v4, '40000');
    for (const from of [RESOLVER.v4, STUB]) {
      assert.equal(await forge(lab.a, from, '53'), 'ok', 'before');
      const enforcer = await lab.judge(
        context,
        [lab.a],
        [...ALLOW, `-resolver=${from}`, `-cidr=${HOST.v4}`, '-inbound=8080'],
      );
      assert.equal(await forge(lab.a, from, '53'), 'EPERM');
      assert.equal(await forge(lab.a, from, '54'), 'ok', 'from another port');
      assert.equal(await forge(lab.a, '192.0.2.99', '53'), 'ok', 'from another address');
      assert.equal(await forge(lab.b, from, '53'), 'ok', 'by who is no subject');
      await enforcer.stop();
    }
  });

  test('a subject that is to serve DNS may answer, when it takes calls on that port', async (context) => {
    await lab.judge(context, [lab.a], [...ALLOW, `-resolver=${OTHER_STUB}`, '-inbound=53']);
    const words = ['-d', '-d', '-T5', `UDP4-LISTEN:53,bind=${OTHER_STUB},reuseaddr,fork`, 'PIPE'];
    const forwarder = lab.a.spawn('socat', words);
    await forwarder.waitForLine(/listening on/, 5_000);
    assert.equal(await lab.came(lab.b, 'udp4', OTHER_STUB, '53'), 'ok', forwarder.tail());
    await forwarder.stop();
  });

  test('sockets from before the subject was judged are judged, and resolve', async (context) => {
    const held = [
      await lab.hold(lab.a, 'tcp4', FAKE, '80'),
      await lab.hold(lab.a, 'udp4', FAKE, '7'),
      await lab.hold(lab.a, 'connected6', '2001:db8:2::66', '7'),
    ];
    const allowed = [
      await lab.hold(lab.a, 'tcp4', '198.51.100.7', '80'),
      await lab.hold(lab.a, 'udp4', '198.51.100.7', '7'),
    ];
    const asking = await lab.hold(lab.a, 'udp4', RESOLVER.v4, '53', encodeQuery(EVIL));
    await lab.judge(context, [lab.a], [...ALLOW, '-cidr=198.51.100.7']);
    for (const { go } of held) assert.equal((await go()).came, 'EPERM');
    for (const { go } of allowed) assert.equal((await go()).came, 'ok');
    await isRefused(lab.a, REAL.v4);
    assert.equal((await asking.go()).came, 'ok');
    await passes(lab.a, REAL.v4);
  });

  test('a process that comes into the cgroup later is judged by its new sockets, not by those it had', async (context) => {
    const mark = `${lab.host.directory}/moved`;
    const shell = lab.b.spawn('sh', [
      '-c',
      `echo here; until [ -e ${mark} ]; do sleep 0.02; done; exec ${lab.probe} tcp4 ${FAKE} 80`,
    ]);
    await shell.waitForLine(/here/, 5_000);
    const old = await lab.hold(lab.b, 'tcp4', FAKE, '80');
    await lab.judge(context, [lab.a], [...ALLOW, '-cidr=198.51.100.7']);
    lab.a.take(shell.pid);
    lab.a.take(old.pid);
    lab.host.must('touch', [mark]);
    await shell.waitForLine(/^EPERM/, 5_000);
    // A socket is of the cgroup that it was made in: the kernel asks the programs of that one only.
    assert.equal((await old.go()).came, 'ok');
  });
});

/* RFC 1035 4.1: one question, in hexadecimal digits. */
function encodeQuery(name: string): string {
  return encode({ type: 'query', id: 0x1234, flags: 0x100, questions: [{ type: 'A', name }] }).toString(
    'hex',
  );
}
