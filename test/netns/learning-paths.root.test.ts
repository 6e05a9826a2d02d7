/*
 * Where answers come in and where packets leave: forwarders on lo, a second uplink, several interfaces of each kind.
 * test/lab/topology.ts; BIND on 192.0.2.53, dnsmasq in `web` on 192.0.2.65 (behind the host's eth1).
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { digShort } from '../lab/clients.ts';
import type { DnsRecord } from '../lab/records.ts';
import type { Resolver } from '../lab/resolver.ts';
import { startBind, startDnsmasq, startDnsmasqForwarder, startUnboundForwarder } from '../lab/resolvers.ts';
import { startWeb } from '../lab/servers.ts';
import { addSecondUplink, createLab, type Lab, RESOLVERS, WEB } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { distinctRecords, isRefused, passes, webAddress } from './learning-lab.ts';

const [UPSTREAM] = RESOLVERS;
const CACHED = 'cached.listed.example';
const NAMES = ['www.listed.example', 'node.cdn.test', 'other.test', CACHED];
const RECORDS: readonly DnsRecord[] = [
  ...distinctRecords(NAMES),
  { name: 'Alias.Listed.example', type: 'CNAME', value: 'edge.cdn.test' },
  { name: 'edge.cdn.test', type: 'CNAME', value: 'node.cdn.test' },
];
const addressOf = (name: string) => webAddress(1 + NAMES.indexOf(name));

describe('forwarders on lo', () => {
  let lab: Lab;
  before(async () => {
    lab = createLab();
    await Promise.all([
      startWeb(lab.web),
      startBind(lab.dns, { addresses: [UPSTREAM.v4], records: RECORDS }),
    ]);
    lab.host.useResolvConf('nameserver 127.0.0.1\n');
  });
  after(() => lab.close());

  const ways = [
    { way: 'stub from resolv.conf, upstream by -cidr', flags: [`-cidr=${UPSTREAM.v4}`] },
    { way: 'stub and upstream by -resolver', flags: [`-resolver=127.0.0.1,${UPSTREAM.v4}`] },
    { way: 'upstream alone by -resolver', flags: [`-resolver=${UPSTREAM.v4}`] },
  ];
  const forwarders = [
    { forwarder: 'dnsmasq', start: startDnsmasqForwarder },
    { forwarder: 'unbound', start: startUnboundForwarder },
  ];
  for (const { forwarder, start } of forwarders) {
    for (const { way, flags } of ways) {
      describe(`${forwarder}, ${way}`, () => {
        let running: Resolver;
        let enforcer: RunningEnforcer;
        before(async () => {
          running = await start(lab.host, { address: UPSTREAM.v4, port: 53 });
          assert.equal(digShort(lab.host, '127.0.0.1', [CACHED]).length, 1);
          enforcer = await startEnforcer(lab.host, [
            '-iface=eth0',
            '-eface=eth0',
            '-cn=.listed.example',
            ...flags,
          ]);
        });
        after(async () => {
          await enforcer.stop();
          await running.stop();
        });

        for (const family of ['v4', 'v6'] as const) {
          const args = [family === 'v4' ? '-4' : '-6'];
          test(`names and chains pass over IP${family}, others do not`, async () => {
            await isRefused(lab.host, addressOf('www.listed.example')[family]);
            await isRefused(lab.host, 'other.test', { args });
            await passes(lab.host, 'www.listed.example', { args });
            await isRefused(lab.host, addressOf('node.cdn.test')[family]);
            const { remoteAddress } = await passes(lab.host, 'alias.listed.example', { args });
            assert.equal(remoteAddress, addressOf('node.cdn.test')[family]);
            await isRefused(lab.host, 'other.test', { args });
          });
        }
        // unbound can't be told to forget: there the stub itself has to be seen.
        for (const name of forwarder === 'unbound' && way.startsWith('upstream') ? [] : [CACHED]) {
          test(`${name}, in its cache from before the start, passes`, async () => {
            await isRefused(lab.host, addressOf(name).v4);
            await passes(lab.host, name, { args: ['-4'] });
          });
        }
      });
    }
  }
});

describe('more than one interface', () => {
  const NEAR = '192.0.2.65';
  let lab: Lab;
  let enforcer: RunningEnforcer;
  before(async () => {
    lab = createLab();
    addSecondUplink(lab);
    await Promise.all([
      startWeb(lab.web),
      startBind(lab.dns, { addresses: [UPSTREAM.v4, UPSTREAM.v6], records: RECORDS }),
      startDnsmasq(lab.web, { addresses: [NEAR], records: distinctRecords(['near.listed.example'], 50) }),
    ]);
    lab.host.useResolvConf(`nameserver ${UPSTREAM.v4}\n`);
  });
  after(() => lab.close());
  afterEach(() => enforcer.stop());

  test('-iface=eth0 -eface=eth1: answers come in by one, packets leave by the other', async () => {
    enforcer = await startEnforcer(lab.host, ['-iface=eth0', '-eface=eth1', '-cn=.listed.example']);
    for (const family of ['v4', 'v6'] as const) {
      const args = [family === 'v4' ? '-4' : '-6'];
      await isRefused(lab.host, addressOf('www.listed.example')[family]);
      await passes(lab.host, 'www.listed.example', { args });
      await passes(lab.host, 'alias.listed.example', { args });
      await isRefused(lab.host, 'other.test', { args });
      await passes(lab.host, WEB[family]); // by eth0, which is not controlled
    }
  });

  test('two of each: answers on any of them teach for all, and all are controlled', async () => {
    enforcer = await startEnforcer(lab.host, [
      '-iface=eth0,eth1',
      '-eface=eth0,eth1',
      '-cn=.listed.example',
      `-resolver=${UPSTREAM.v4},${NEAR}`,
    ]);
    await passes(lab.host, 'www.listed.example');
    await isRefused(lab.host, 'other.test');
    const { v4 } = webAddress(50);
    await isRefused(lab.host, v4);
    assert.deepEqual(digShort(lab.host, NEAR, ['near.listed.example']), [v4]);
    await passes(lab.host, v4);
    await isRefused(lab.host, WEB.v4);
    await isRefused(lab.host, WEB.v6);
    await enforcer.stop();
    await passes(lab.host, WEB.v4);
    await passes(lab.host, 'other.test');
  });
});
