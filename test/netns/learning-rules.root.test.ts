/*
 * What limits a rule: -port, -deny-cidr, and answers that point inward. test/lab/topology.ts, unbound on 192.0.2.53;
 * the web namespace has inward addresses too.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { digShort } from '../lab/clients.ts';
import { addressRecords, type DnsRecord } from '../lab/records.ts';
import { startUnbound } from '../lab/resolvers.ts';
import { startUdpEcho, startWeb } from '../lab/servers.ts';
import { createLab, HOST, ip, type Lab, RESOLVERS } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { openEchoFlow } from './learning-flow.ts';
import { distinctRecords, isRefused, passes, webAddress } from './learning-lab.ts';

const [SERVER] = RESOLVERS;
const INWARD = ['10.1.0.5', '100.64.0.5', '169.254.169.254', '172.16.0.5', '192.168.0.5', 'fd00::5'];
const OUTWARD = ['100.128.0.5', '172.32.0.5', '198.18.0.5'];
const NAMES = ['www.listed.example', 'mail.listed.example'];
const nameOf = (address: string) => `to-${address.replaceAll(/[.:]+/g, '-')}.listed.example`;
const RECORDS: readonly DnsRecord[] = [
  ...distinctRecords(NAMES),
  ...[...INWARD, ...OUTWARD].flatMap((address) => addressRecords(nameOf(address), [address])),
  ...addressRecords('mixed.listed.example', ['10.1.0.6', webAddress(50).v4, '127.0.0.6']),
  ...addressRecords('own.listed.example', [HOST.v4, HOST.v6]),
];
const FLAGS = ['-iface=eth0', '-eface=eth0', '-cn=.listed.example'];

describe('limits of rules', () => {
  let lab: Lab;
  let enforcer: RunningEnforcer;
  before(async () => {
    lab = createLab();
    const lines = [...INWARD, ...OUTWARD, '10.1.0.6'].map((address) => `route add local ${address} dev lo`);
    ip(lab.web, lines);
    await Promise.all([
      startWeb(lab.web),
      startUdpEcho(lab.web, 443),
      startUnbound(lab.dns, { addresses: [SERVER.v4], records: RECORDS }),
    ]);
    lab.host.useResolvConf(`nameserver ${SERVER.v4}\n`);
    await Promise.all([...INWARD, ...OUTWARD].map((address) => passes(lab.host, address)));
  });
  after(() => lab.close());
  afterEach(() => enforcer.stop());
  const enforce = async (...flags: readonly string[]) => {
    enforcer = await startEnforcer(lab.host, [...FLAGS, ...flags]);
  };

  describe('answers that point inward', () => {
    test('teach nothing, and an event names them; answers that point outward do', async () => {
      await enforce();
      for (const address of INWARD) {
        await isRefused(lab.host, nameOf(address));
        const told = await enforcer.waitForEvent(
          ({ qname, addresses }) => qname === nameOf(address) && addresses?.[0] === address,
        );
        assert.deepEqual([told.verdict, told.reason], ['deny', 'dns-inward']);
      }
      for (const address of OUTWARD) await passes(lab.host, nameOf(address));
    });
    test('are skipped one by one: the rest of the answer counts', async () => {
      await enforce();
      assert.equal(digShort(lab.host, SERVER.v4, ['mixed.listed.example']).length, 3);
      await passes(lab.host, webAddress(50).v4);
      await isRefused(lab.host, '10.1.0.6');
    });
    test('an own address is one of them', async () => {
      await enforce();
      assert.deepEqual(digShort(lab.host, SERVER.v4, ['own.listed.example', 'AAAA']), [HOST.v6]);
      const told = await enforcer.waitForEvent(({ qname }) => qname === 'own.listed.example');
      assert.deepEqual([told.verdict, told.reason], ['deny', 'dns-inward']);
    });
    test('count with -allow-private-answers', async () => {
      await enforce('-allow-private-answers');
      for (const address of INWARD) {
        await isRefused(lab.host, address);
        await passes(lab.host, nameOf(address));
      }
    });
    test('count where a -cidr covers them, whatever its ports', async () => {
      await enforce('-cidr=10.1.0.0/16,fd00::/8');
      for (const address of ['10.1.0.5', 'fd00::5']) {
        await passes(lab.host, nameOf(address));
        await enforcer.waitForEvent(({ qname, reason }) => qname === nameOf(address) && reason === 'learned');
      }
      await isRefused(lab.host, nameOf('192.168.0.5'));
    });
  });

  describe('-port', () => {
    test('443/tcp: nothing else passes, by name or by address', async () => {
      const { v4, v6 } = webAddress(100);
      const [name] = NAMES;
      await enforce('-port=443/tcp', `-cidr=${v4},${v6}`);
      for (const host of [name ?? '', v4, `[${v6}]`]) {
        await passes(lab.host, `${host}:443`);
        const since = enforcer.events().length;
        await isRefused(lab.host, `${host}:80`);
        const told = await enforcer.waitForEvent(({ verdict }) => verdict === 'deny', 2_000, since);
        assert.deepEqual([told.reason, told.dport, told.proto], ['port', 80, 'tcp']);
      }
      using flow = await openEchoFlow(lab.host, `UDP4:${v4}:443`);
      await flow.untilClosed('blocked');
      assert.notEqual(lab.host.run('ping', ['-c', '1', '-W', '1', v4]).code, 0);
    });
    test('443/udp,8000-9000: ranges and protocols', async () => {
      const { v4 } = webAddress(100);
      await enforce('-port=443/udp,8000-9000', `-cidr=${v4}`);
      using flow = await openEchoFlow(lab.host, `UDP4:${v4}:443`);
      await flow.echo('passes');
      await passes(lab.host, `${v4}:8443`);
      await isRefused(lab.host, `${v4}:443`);
    });
    test('icmp: a ping passes, a connect does not', async () => {
      const { v4, v6 } = webAddress(100);
      await enforce('-port=icmp', `-cidr=${v4},${v6}`);
      for (const address of [v4, v6]) {
        assert.equal(lab.host.run('ping', ['-c', '1', '-W', '1', address]).code, 0);
        await isRefused(lab.host, address);
      }
    });
  });

  describe('-deny-cidr', () => {
    test('beats -cidr, also a narrower one, and what a name has taught', async () => {
      await enforce(
        '-cidr=198.51.100.0/24,198.51.100.70/32,2001:db8:2::/64,2001:db8:2::70/128',
        '-deny-cidr=198.51.100.64/26,2001:db8:2::40/122',
        `-deny-cidr=${webAddress(2).v4}`,
      );
      for (const address of ['198.51.100.5', '198.51.100.130', '2001:db8:2::5', '2001:db8:2::80'])
        await passes(lab.host, address);
      for (const address of ['198.51.100.65', '198.51.100.70', '2001:db8:2::41', '2001:db8:2::70'])
        await isRefused(lab.host, address);
      await isRefused(lab.host, 'mail.listed.example', { args: ['-4'] });
      const told = await enforcer.waitForEvent(({ dst }) => dst === webAddress(2).v4);
      assert.deepEqual([told.reason, told.rule], ['deny-cidr', `-deny-cidr=${webAddress(2).v4}`]);
      await passes(lab.host, 'www.listed.example', { args: ['-4'] });
      await enforcer.stop();
      await passes(lab.host, '198.51.100.70');
    });
  });
});
