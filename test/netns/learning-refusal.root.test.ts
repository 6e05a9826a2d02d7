/*
 * A blocked program learns so at once: local, and forwarded behind masquerade. test/lab/topology.ts with a NAT client,
 * dnsmasq on 192.0.2.53.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import { startDnsmasq } from '../lab/resolvers.ts';
import { startTcpEcho, startUdpEcho, startWeb } from '../lab/servers.ts';
import { addNatClient, createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import { startEnforcer } from './enforcer.ts';
import { openEchoFlow } from './learning-flow.ts';
import { distinctRecords, isAtOnce, isRefused, passes, webAddress } from './learning-lab.ts';

const [SERVER] = RESOLVERS;
const NAMES = ['local.listed.example', 'forwarded.listed.example'];
const BLOCKED = webAddress(100);
const CIDR = webAddress(101);

describe('refusal', () => {
  let lab: Lab;
  let client: Namespace;
  before(async () => {
    lab = createLab();
    client = addNatClient(lab);
    await Promise.all([
      startWeb(lab.web),
      startTcpEcho(lab.web),
      startUdpEcho(lab.web),
      startDnsmasq(lab.dns, { addresses: [SERVER.v4], records: distinctRecords(NAMES) }),
    ]);
    for (const namespace of [lab.host, client]) namespace.useResolvConf(`nameserver ${SERVER.v4}\n`);
    await passes(client, BLOCKED.v6);
    await startEnforcer(lab.host, [
      '-iface=eth0',
      '-eface=eth0',
      '-cn=.listed.example',
      `-cidr=${CIDR.v4},${CIDR.v6}`,
    ]);
  });
  after(() => lab.close());

  for (const [index, where] of (['local', 'forwarded'] as const).entries()) {
    const from = () => (where === 'local' ? lab.host : client);
    for (const { family, host, ping } of [
      { family: 'v4', host: BLOCKED.v4, ping: '-4' },
      { family: 'v6', host: `[${BLOCKED.v6}]`, ping: '-6' },
    ] as const) {
      const udp = family === 'v4' ? 'UDP4' : 'UDP6';
      const allowed = family === 'v4' ? CIDR.v4 : `[${CIDR.v6}]`;

      test(`${where}: a TCP connect over IP${family} is refused at once, an allowed one passes`, async () => {
        await isAtOnce(async () => (await isRefused(from(), host)).totalMs);
        await passes(from(), allowed);
        await isRefused(from(), host);
      });
      test(`${where}: a connected UDP socket over IP${family} gets an error at once, an allowed one an echo`, async () => {
        await isAtOnce(async () => {
          using blocked = await openEchoFlow(from(), `${udp}:${host}:7`);
          return blocked.untilClosed('blocked');
        });
        using flow = await openEchoFlow(from(), `${udp}:${allowed}:7`);
        await flow.echo('allowed');
      });
      test(`${where}: a ping over IP${family} is refused at once, an allowed one is answered`, async () => {
        await isAtOnce(() => {
          const { code, stdout, ms } = from().run('ping', [ping, '-c', '1', '-W', '2', BLOCKED[family]]);
          assert.equal(code, 1);
          assert.match(stdout, /filtered|prohibited/i);
          return ms;
        });
        assert.equal(from().run('ping', [ping, '-c', '1', '-W', '2', CIDR[family]]).code, 0);
      });
      test(`${where}: a name teaches over IP${family}`, async () => {
        const { [index]: name = '' } = NAMES;
        await isRefused(from(), webAddress(1 + index)[family]);
        await passes(from(), name, { args: [family === 'v4' ? '-4' : '-6'] });
      });
    }
  }
});
