/*
 * The lab itself, without an enforcer: topology.ts shows it. Needs root.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connectAtFirstPacket, curl, curlMany, dig, digShort } from './clients.ts';
import { freshRecords } from './first-packet.ts';
import { addressRecords, type DnsRecord } from './records.ts';
import type { RecordResolver, Resolver } from './resolver.ts';
import {
  startBind,
  startDnsmasq,
  startDnsmasqForwarder,
  startUnbound,
  startUnboundForwarder,
} from './resolvers.ts';
import { startTcpEcho, startUdpEcho, startWeb } from './servers.ts';
import { addNatClient, addSecondUplink, createLab, type Lab, RESOLVERS } from './topology.ts';
import { traces } from './traces.ts';

const SHOP: readonly DnsRecord[] = [
  ...addressRecords('www.shop.example', ['198.51.100.10', '2001:db8:2::10'], 30),
  ...addressRecords('*.flood.test', ['203.0.113.7']),
];
const CHAIN: readonly DnsRecord[] = [
  { name: 'a.chain.example', type: 'CNAME', value: 'B.Chain.example' },
  { name: 'B.Chain.example', type: 'CNAME', value: 'c.other.test', ttl: 5 },
  ...addressRecords('c.other.test', ['198.51.100.20']),
  ...addressRecords(
    'many.example',
    Array.from({ length: 40 }, (_, index) => `203.0.113.${index + 1}`),
  ),
];
const FRESH = { suffix: 'fresh.test', nonce: 'n', count: 200, family: 4 } as const;

describe('lab', () => {
  let lab: Lab;
  before(async () => {
    lab = createLab();
    await startWeb(lab.web);
  });
  after(() => lab.close());

  const servers = [
    { name: 'dnsmasq', start: startDnsmasq, at: RESOLVERS[0], more: [] },
    { name: 'unbound', start: startUnbound, at: RESOLVERS[1], more: CHAIN },
    { name: 'BIND', start: startBind, at: RESOLVERS[2], more: [...CHAIN, ...freshRecords(FRESH)] },
  ] as const;
  const started = new Map<string, RecordResolver>();
  const of = (name: string): RecordResolver => {
    const resolver = started.get(name);
    assert.ok(resolver, `${name} was not started`);
    return resolver;
  };
  before(async () => {
    const all = servers.map(async ({ name, start, at, more }) => {
      started.set(name, await start(lab.dns, { addresses: [at.v4, at.v6], records: [...SHOP, ...more] }));
    });
    await Promise.all(all);
  });

  for (const { name, at } of servers) {
    test(`${name} answers over IPv4`, () => {
      assert.deepEqual(digShort(lab.host, at.v4, ['wWw.Shop.example', 'A']), ['198.51.100.10']);
    });
    test(`${name} answers over IPv6`, () => {
      assert.deepEqual(digShort(lab.host, at.v6, ['www.shop.example', 'AAAA']), ['2001:db8:2::10']);
    });
    test(`${name} answers over TCP`, () => {
      assert.deepEqual(digShort(lab.host, at.v4, ['+tcp', 'www.shop.example', 'A']), ['198.51.100.10']);
    });
    test(`${name} answers a wildcard, with no AAAA`, () => {
      assert.deepEqual(digShort(lab.host, at.v4, ['x1.flood.test', 'A']), ['203.0.113.7']);
      assert.match(dig(lab.host, at.v4, ['x1.flood.test', 'AAAA']).stdout, /status: NOERROR.*ANSWER: 0/s);
    });
    test(`${name} denies a name it does not have`, () => {
      assert.match(dig(lab.host, at.v4, ['nope.example']).stdout, /status: NXDOMAIN/);
    });
    test(`${name} keeps the TTL`, () => {
      assert.match(dig(lab.host, at.v4, ['www.shop.example']).stdout, /^www\.shop\.example\.\s+30\s/m);
    });
    test(`${name} changes its records`, async () => {
      const more = servers.find((server) => server.name === name)?.more ?? [];
      await of(name).replace([...SHOP, ...more, ...addressRecords('new.example', ['198.51.100.77'])]);
      assert.deepEqual(digShort(lab.host, at.v4, ['new.example']), ['198.51.100.77']);
      await of(name).replace([...SHOP, ...more]);
      assert.deepEqual(digShort(lab.host, at.v4, ['new.example']), []);
    });
  }

  for (const { name, at } of servers.slice(1)) {
    test(`${name} follows a CNAME chain and keeps its case`, () => {
      const answer = digShort(lab.host, at.v4, ['a.chain.example']);
      assert.deepEqual([answer.length, answer.at(-1)], [3, '198.51.100.20']);
      assert.match(answer[0] ?? '', /^B\.[Cc]hain\.example\.$/);
    });
    test(`${name} gives 40 addresses, by EDNS and by TCP after a truncated answer`, () => {
      assert.equal(digShort(lab.host, at.v4, ['+ignore', 'many.example']).length, 40);
      assert.equal(digShort(lab.host, at.v4, ['+noedns', 'many.example']).length, 40);
      assert.match(
        dig(lab.host, at.v4, ['+noedns', '+ignore', 'many.example']).stdout,
        /flags: [a-z ]*\btc\b/,
      );
    });
  }

  describe('forwarders on lo', () => {
    const forwarders = [
      { name: 'dnsmasq', start: startDnsmasqForwarder, address: '127.0.0.1' },
      { name: 'unbound', start: startUnboundForwarder, address: '127.0.0.2' },
    ] as const;
    for (const { name, start, address } of forwarders) {
      test(`${name} forwards`, async () => {
        const upstream = { address: RESOLVERS[2].v4, port: 53 };
        const forwarder: Resolver = await start(lab.host, upstream, { addresses: [address] });
        assert.equal(digShort(lab.host, address, ['a.chain.example']).at(-1), '198.51.100.20');
        assert.equal(digShort(lab.host, address, ['many.example']).length, 40);
        await forwarder.stop();
      });
    }
  });

  describe('clients', () => {
    before(() => lab.host.useResolvConf(of('unbound').resolvConf));

    for (const { family, answered } of [
      { family: '-4', answered: '198.51.100.10' },
      { family: '-6', answered: '2001:db8:2::10' },
    ]) {
      test(`curl ${family} reaches a name`, async () => {
        const fetched = await curl(lab.host, 'http://www.shop.example/', { args: [family] });
        assert.deepEqual(
          [fetched.exitCode, fetched.remoteAddress, fetched.body],
          [0, answered, `hello from ${answered}`],
        );
      });
      test(`a client behind masquerade reaches a name by curl ${family}`, async () => {
        using own = createLab();
        await startWeb(own.web, { greeting: 'hello $remote_addr' });
        const resolver = await startUnbound(own.dns, { addresses: [RESOLVERS[0].v4], records: SHOP });
        const client = addNatClient(own);
        client.useResolvConf(resolver.resolvConf);
        const fetched = await curl(client, 'http://www.shop.example/', { args: [family] });
        assert.match(fetched.body, /^hello (192\.0\.2\.2|2001:db8:1::2)$/);
      });
    }
    test('a second uplink takes the routes to the web', async () => {
      using own = createLab();
      await startWeb(own.web, { greeting: 'hello $remote_addr' });
      addSecondUplink(own);
      assert.equal((await curl(own.host, 'http://203.0.113.200/')).body, 'hello 192.0.2.66');
      assert.equal((await curl(own.host, 'http://[2001:db8:2::200]/')).body, 'hello 2001:db8:3::2');
    });
    test('two web servers share a namespace, each with its addresses', async () => {
      using own = createLab();
      await startWeb(own.web, { addresses: ['198.51.100.1', '2001:db8:2::1'], greeting: 'one' });
      await startWeb(own.web, { addresses: ['203.0.113.1'], greeting: 'two' });
      assert.equal((await curl(own.host, 'http://[2001:db8:2::1]/')).body, 'one');
      assert.equal((await curl(own.host, 'http://203.0.113.1/')).body, 'two');
    });
    test('curl says why it failed', async () => {
      assert.equal((await curl(lab.host, 'http://nope.example/')).exitCode, 6);
      assert.equal((await curl(lab.host, 'http://198.51.100.10:81/')).exitCode, 7);
    });
    test('curlMany reports each transfer', async () => {
      const urls = Array.from({ length: 60 }, (_, index) => `http://z${index}.flood.test/`);
      const fetched = await curlMany(lab.host, [...urls, 'http://nope.example/']);
      assert.deepEqual(
        fetched.filter((one) => one.exitCode !== 0).map((one) => [one.url, one.exitCode]),
        [['http://nope.example/', 6]],
      );
    });
    test('connectAtFirstPacket connects to each fresh name once', async () => {
      const plan = {
        ...FRESH,
        resolver: RESOLVERS[2].v4,
        resolverPort: 53,
        parallel: 16,
        connectPort: 80,
        limitMs: 5_000,
      };
      const report = await connectAtFirstPacket(lab.host, plan);
      assert.deepEqual(
        [report.answered, report.connected, report.synRetransmits, report.failures],
        [200, 200, 0, []],
      );
    });
    test('connectAtFirstPacket counts what failed and what was sent again', async () => {
      using own = createLab();
      await startBind(own.dns, {
        addresses: [RESOLVERS[0].v4],
        records: freshRecords({ ...FRESH, count: 2 }),
      });
      own.web.must('nft', [
        'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i tcp dport 80 drop',
      ]);
      const plan = {
        ...FRESH,
        count: 2,
        resolver: RESOLVERS[0].v4,
        resolverPort: 53,
        parallel: 2,
        connectPort: 80,
        limitMs: 1_500,
      };
      const report = await connectAtFirstPacket(own.host, plan);
      assert.deepEqual([report.answered, report.connected, report.failed], [2, 0, 2]);
      assert.ok(report.synRetransmits >= 2, `${report.synRetransmits} retransmits`);
    });
  });

  describe('echo servers', () => {
    before(async () => {
      await startTcpEcho(lab.web);
      await startUdpEcho(lab.web);
    });
    for (const address of ['198.51.100.99', '203.0.113.9', '2001:db8:2::99']) {
      test(`TCP comes back from ${address}`, () => {
        assert.equal(
          lab.host.run('nc', ['-N', '-w', '3', address, '7'], { input: 'ping\n' }).stdout,
          'ping\n',
        );
      });
      test(`UDP comes back from ${address}`, () => {
        const done = lab.host.run('nc', ['-u', '-W', '1', '-w', '3', address, '7'], { input: 'ping\n' });
        assert.equal(done.stdout, 'ping\n');
      });
    }
  });

  test('comes up with a resolver and a web server in under 1.5 s', async (t) => {
    const from = performance.now();
    using own = createLab();
    const basic = performance.now() - from;
    await Promise.all([
      startWeb(own.web),
      startDnsmasq(own.dns, { addresses: [RESOLVERS[0].v4], records: SHOP }),
    ]);
    const all = performance.now() - from;
    t.diagnostic(`namespaces and links ${basic.toFixed(0)} ms, with dnsmasq and nginx ${all.toFixed(0)} ms`);
    assert.ok(all < 1_500, `${all} ms`);
  });
});

test('nothing is left of any lab', () => {
  assert.deepEqual(traces(), []);
});
