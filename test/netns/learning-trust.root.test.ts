/*
 * Who may teach: only the answer, once, of a trusted resolver that was asked. test/lab/topology.ts with an attacker on
 * the wire, who sends from any address it likes.
 *   192.0.2.53   trusted: unbound on port 53; another one on port 5353, not trusted
 *   192.0.2.54   trusted: no server is there, so the attacker answers in its place
 *   192.0.2.55   dnsmasq, not trusted
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dig, digShort } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { startDnsmasq, startUnbound } from '../lab/resolvers.ts';
import { startWeb } from '../lab/servers.ts';
import { createLab, HOST, ip, type Lab, RESOLVERS } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import type { Forgery } from './learning-forger.ts';
import { distinctRecords, isRefused, passes, webAddress } from './learning-lab.ts';

const FORGER = fileURLToPath(new URL('./learning-forger.js', import.meta.url));
const ATTACKER = { v4: '192.0.2.99', v6: '2001:db8:1::99' };
const [TRUSTED, ABSENT, UNTRUSTED] = RESOLVERS;
const ASKED = 'asked.listed.example';
const CLIENT_PORT = 5555;
const QUERY_ID = 4242;
const NAMES = [
  'www.listed.example',
  'other-port.listed.example',
  'untrusted.listed.example',
  'known.listed.example',
];
const FLAGS = ['-iface=eth0', '-eface=eth0', '-cn=.listed.example'];

/** The answer that would teach, had the trusted resolver given it. */
const RIGHT: Omit<Forgery, 'address'> = {
  from: ABSENT.v4,
  fromPort: 53,
  to: HOST.v4,
  toPort: CLIENT_PORT,
  id: QUERY_ID,
  name: ASKED,
};

describe('who may teach', () => {
  let lab: Lab;
  let attacker: Namespace;
  let enforcer: RunningEnforcer;
  before(async () => {
    lab = createLab();
    attacker = lab.join('attacker', [ATTACKER]);
    // It asks for MAC addresses as itself: only its answers are forged.
    attacker.must('sh', ['-c', 'echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce']);
    ip(
      attacker,
      [ABSENT, TRUSTED].map(({ v4 }) => `addr add ${v4}/32 dev lo`),
    );
    const records = distinctRecords(NAMES);
    await Promise.all([
      startWeb(lab.web, { ports: [53, 80] }),
      startUnbound(lab.dns, { addresses: [TRUSTED.v4], records }),
      startUnbound(lab.dns, { addresses: [TRUSTED.v4], records, port: 5353 }),
      startDnsmasq(lab.dns, { addresses: [UNTRUSTED.v4], records }),
    ]);
    lab.host.useResolvConf(`nameserver ${TRUSTED.v4}\n`);
    enforcer = await startEnforcer(lab.host, [...FLAGS, `-resolver=${TRUSTED.v4},${ABSENT.v4}`]);
  });
  after(() => lab.close());
  const forge = (...forgeries: readonly Forgery[]) =>
    attacker.must(process.execPath, [FORGER, JSON.stringify(forgeries)]);
  /** Asks where no server is, from a known port with a known id; dig is told so at once, and ends. */
  const ask = () =>
    dig(lab.host, ABSENT.v4, [
      '-b',
      `${HOST.v4}#${CLIENT_PORT}`,
      `+qid=${QUERY_ID}`,
      '+noedns',

      ASKED,
      'A',
    ]);

  test('an answer that nobody asked for teaches nothing', async () => {
    forge({ ...RIGHT, name: 'www.listed.example', from: TRUSTED.v4, address: webAddress(101).v4 });
    await isRefused(lab.host, webAddress(101).v4);
    await passes(lab.host, 'www.listed.example');
    await isRefused(lab.host, webAddress(101).v4);
  });

  test('of answers to a query only the one that fits in everything teaches, and only once', async () => {
    const wrong: readonly Partial<Forgery>[] = [
      { id: QUERY_ID + 1 },
      { toPort: CLIENT_PORT + 1 },
      { name: 'other.listed.example' },
      { name: `x.${ASKED}` },
      { from: TRUSTED.v4 },
      { from: ATTACKER.v4 },
      { fromPort: 5353 },
    ];
    assert.notEqual(ask().code, 0);
    forge(...wrong.map((part, index) => ({ ...RIGHT, ...part, address: webAddress(110 + index).v4 })));
    for (const index of wrong.keys()) await isRefused(lab.host, webAddress(110 + index).v4);
    forge({ ...RIGHT, address: webAddress(120).v4 }, { ...RIGHT, address: webAddress(121).v4 });
    await passes(lab.host, webAddress(120).v4);
    await isRefused(lab.host, webAddress(121).v4);
  });

  test('another port of a trusted resolver, and another resolver, are refused without a rule', async () => {
    assert.match(
      dig(lab.host, TRUSTED.v4, ['-p', '5353', 'other-port.listed.example']).stdout,
      /host unreachable|timed out|no servers/,
    );
    assert.match(
      dig(lab.host, UNTRUSTED.v4, ['untrusted.listed.example']).stdout,
      /host unreachable|timed out|no servers/,
    );
    assert.notEqual(dig(lab.host, UNTRUSTED.v4, ['+tcp', 'untrusted.listed.example']).code, 0);
    const told = await enforcer.waitForEvent(({ dst }) => dst === UNTRUSTED.v4);
    assert.deepEqual([told.kind, told.verdict, told.reason, told.dport], ['flow', 'deny', 'no-rule', 53]);
  });

  test('port 53 elsewhere, and from port 53, is ordinary traffic', async () => {
    await isRefused(lab.host, `${webAddress(130).v4}:53`);
    await isRefused(lab.host, webAddress(130).v4, { args: ['--local-port', '53'] });
    await isRefused(lab.host, webAddress(130).v6, { args: ['--local-port', '53'] });
    await passes(lab.host, 'known.listed.example:53', { args: ['--local-port', '53'] });
  });

  test('with a rule they pass, and teach nothing', async () => {
    await enforcer.stop();
    enforcer = await startEnforcer(lab.host, [...FLAGS, `-cidr=${TRUSTED.v4},${UNTRUSTED.v4}`]);
    const [otherPort, untrusted] = [webAddress(2).v4, webAddress(3).v4];
    for (const words of [[], ['+tcp']]) {
      assert.deepEqual(
        digShort(lab.host, TRUSTED.v4, [...words, '-p', '5353', 'other-port.listed.example']),
        [otherPort],
      );
      assert.deepEqual(digShort(lab.host, UNTRUSTED.v4, [...words, 'untrusted.listed.example']), [untrusted]);
    }
    await isRefused(lab.host, otherPort);
    await isRefused(lab.host, untrusted);
    await passes(lab.host, 'untrusted.listed.example');
  });

  test('a trusted resolver on another port teaches, its port 53 needs a rule', async () => {
    await enforcer.stop();
    enforcer = await startEnforcer(lab.host, [...FLAGS, `-resolver=${TRUSTED.v4}:5353`]);
    const otherPort = webAddress(2).v4;
    await isRefused(lab.host, otherPort);
    assert.deepEqual(digShort(lab.host, TRUSTED.v4, ['-p', '5353', 'other-port.listed.example']), [
      otherPort,
    ]);
    await passes(lab.host, otherPort);
    assert.notEqual(dig(lab.host, TRUSTED.v4, ['other-port.listed.example']).code, 0);
  });
});
