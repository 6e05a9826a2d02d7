/*
 * Lookups that are refused: -dns=strict and -deny-name. test/lab/topology.ts; BIND on 192.0.2.53, which has every
 * name asked here, so an NXDOMAIN without SOA (no AUTHORITY) is the kernel's.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { dig, digShort } from '../lab/clients.ts';
import { addressRecords, type DnsRecord } from '../lab/records.ts';
import { startBind } from '../lab/resolvers.ts';
import { startTcpEcho, startUdpEcho, startWeb } from '../lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { openEchoFlow } from './learning-flow.ts';
import { distinctRecords, isAtOnce, isRefused, passes, passesSoon, webAddress } from './learning-lab.ts';

const [SERVER] = RESOLVERS;
const LISTED = ['www.listed.example', 'abc.pattern.example', 'exact.other.test', 'late.listed.example'];
const DENIED = ['bad.listed.example', 'tracker.listed.example', 'x.evil.test'];
const UNLISTED = ['listed.example', 'www.example', 'ba.pattern.example', 'www.exact.other.test', 'free.test'];
const NAMES = [...LISTED, ...DENIED, ...UNLISTED];
const SHARED = webAddress(100);
const RECORDS: readonly DnsRecord[] = [
  ...distinctRecords(NAMES),
  { name: 'www.listed.example', type: 'TXT', value: 'text' },
  { name: 'example', type: 'TXT', value: 'text' },
  ...['good.listed.example', 'shared.evil.test'].flatMap((name) =>
    addressRecords(name, [SHARED.v4, SHARED.v6]),
  ),
  ...addressRecords(
    'many.listed.example',
    Array.from({ length: 40 }, (_, index) => webAddress(201 + index).v4),
  ),
  ...addressRecords(
    'many.listed.example',
    Array.from({ length: 40 }, (_, index) => webAddress(201 + index).v6),
  ),
];
const RULES = ['-cn=.listed.example', '-name=a*.pattern.example', '-name=exact.other.test'];
const KERNEL_NXDOMAIN = /status: NXDOMAIN.*ANSWER: 0, AUTHORITY: 0, ADDITIONAL: 0/s;
const SERVER_ANSWER = /status: (NOERROR|NXDOMAIN).*(ANSWER: [1-9]|AUTHORITY: [1-9])/s;

/** A lab in which the queries that reach the server are counted. */
async function createStrictLab(): Promise<Lab> {
  const lab = createLab();
  lab.dns.must('nft', ['-f', '-'], {
    input: `table inet asked {
      counter queries {}
      chain input { type filter hook input priority 0; udp dport 53 counter name queries; }
    }`,
  });
  await Promise.all([
    startWeb(lab.web, { ports: [53, 80, 853] }),
    startTcpEcho(lab.web),
    startUdpEcho(lab.web, 53),
    startBind(lab.dns, { addresses: [SERVER.v4, SERVER.v6], records: RECORDS }),
  ]);
  lab.host.useResolvConf(`nameserver ${SERVER.v4}\n`);
  return lab;
}

/** UDP packets to port 53 that reached the server so far. */
function countQueries(lab: Lab): number {
  const listed = lab.dns.must('nft', ['-j', 'list', 'counter', 'inet', 'asked', 'queries']);
  return Number(/"packets": (\d+)/.exec(listed)?.[1]);
}

describe('-dns=strict', () => {
  let lab: Lab;
  let enforcer: RunningEnforcer;
  before(async () => {
    lab = await createStrictLab();
    enforcer = await startEnforcer(lab.host, [
      '-iface=eth0',
      '-eface=eth0',
      ...RULES,
      '-dns=strict',
      '-cidr=203.0.113.200/32',
      `-resolver=${SERVER.v4},${SERVER.v6}`,
    ]);
    // The enforcer asks for exact names when it starts: those queries are not to be counted later.
    for (const address of Object.values(webAddress(1 + NAMES.indexOf('exact.other.test'))))
      await passesSoon(lab.host, address);
  });
  after(() => lab.close());

  for (const over of ['v4', 'v6'] as const) {
    for (const name of [...UNLISTED.slice(1), 'x.evil.test']) {
      test(`${name}, asked over IP${over}, is NXDOMAIN at once and does not reach the server`, async () => {
        const before = countQueries(lab);
        await isAtOnce(() => {
          const { stdout, ms } = dig(lab.host, SERVER[over], [name, 'TXT']);
          assert.match(stdout, KERNEL_NXDOMAIN);
          assert.doesNotMatch(stdout, /WARNING|mismatch/);
          return ms;
        });
        assert.equal(countQueries(lab), before);
      });
    }
  }
  test('getent is told at once, and the event says why', async () => {
    await isAtOnce(() => {
      const { code, ms } = lab.host.run('getent', ['ahosts', 'free.test']);
      assert.equal(code, 2);
      return ms;
    });
    const told = await enforcer.waitForEvent(({ qname, comm }) => qname === 'free.test' && comm === 'getent');
    assert.deepEqual([told.kind, told.verdict, told.reason, told.qtype], ['dns', 'deny', 'dns-strict', 'a']);
  });
  test('over TCP an unlisted name is refused at once, a listed one passes', async () => {
    await isAtOnce(() => {
      const { code, ms } = dig(lab.host, SERVER.v4, ['+tcp', 'free.test']);
      assert.notEqual(code, 0);
      return ms;
    });
    assert.deepEqual(digShort(lab.host, SERVER.v4, ['+tcp', 'www.listed.example']), [webAddress(1).v4]);
  });
  test('lookups refused over TCP leave no connection at the resolver', async () => {
    for (const over of [SERVER.v4, SERVER.v6]) {
      for (let round = 0; round < 5; round++) dig(lab.host, over, ['+tcp', '+tries=1', `free${round}.test`]);
    }
    const held = () => lab.dns.must('ss', ['-Htn', 'state', 'established', 'sport = :53']).trim();
    await until(() => held() === '', { limitMs: 2_000, what: 'the resolver to drop its connections' });
    assert.deepEqual(digShort(lab.host, SERVER.v4, ['+tcp', 'www.listed.example']), [webAddress(1).v4]);
  });
  for (const name of LISTED.slice(0, 3)) {
    for (const args of [['-4'], ['-6'], []]) {
      test(`${name} passes by curl ${args}`, async () => {
        await passes(lab.host, name, { args });
      });
    }
  }
  test('many addresses, A and AAAA asked by glibc in one TCP segment, pass', async () => {
    await passes(lab.host, 'many.listed.example');
  });
  test('other types of a listed name pass', () => {
    assert.deepEqual(digShort(lab.host, SERVER.v4, ['www.listed.example', 'TXT']), ['"text"']);
  });

  for (const ancestor of ['.', 'example', 'listed.example', 'pattern.example', 'test', 'other.test']) {
    for (const type of ['A', 'NS', 'SOA', 'DS', 'DNSKEY']) {
      test(`an ancestor may be asked for what walks the tree: ${ancestor} ${type}`, () => {
        assert.match(dig(lab.host, SERVER.v4, ['+dnssec', ancestor, type]).stdout, SERVER_ANSWER);
      });
    }
    for (const type of ['TXT', 'AAAA', 'NULL', 'ANY']) {
      test(`an ancestor may not be asked for more: ${ancestor} ${type}`, () => {
        assert.match(dig(lab.host, SERVER.v4, ['+notcp', ancestor, type]).stdout, KERNEL_NXDOMAIN);
      });
    }
  }
  test('what an ancestor has as its address is not learned', async () => {
    const { v4 } = webAddress(1 + NAMES.indexOf('listed.example'));
    assert.deepEqual(digShort(lab.host, SERVER.v4, ['listed.example', 'A']), [v4]);
    await isRefused(lab.host, v4);
  });

  test('DNS ports of a host that only a rule without ports allows are refused', async () => {
    await passes(lab.host, '203.0.113.200:80');
    await isRefused(lab.host, '203.0.113.200:53');
    await isRefused(lab.host, '203.0.113.200:853');
  });
});

describe('-deny-name', () => {
  let lab: Lab;
  let enforcer: RunningEnforcer;
  before(async () => {
    lab = await createStrictLab();
    enforcer = await startEnforcer(lab.host, [
      '-iface=eth0',
      '-eface=eth0',
      ...RULES,
      '-deny-name=bad.listed.example,tr*.listed.example,**.evil.test',
    ]);
  });
  after(() => lab.close());

  for (const name of [...DENIED, 'deeper.x.evil.test']) {
    test(`${name} is NXDOMAIN at once, also where any name may be looked up`, async () => {
      const since = enforcer.events().length;
      await isAtOnce(() => {
        const { stdout, ms } = dig(lab.host, SERVER.v4, [name]);
        assert.match(stdout, KERNEL_NXDOMAIN);
        return ms;
      });
      const told = await enforcer.waitForEvent(({ qname }) => qname === name, 2_000, since);
      assert.deepEqual([told.verdict, told.reason], ['deny', 'dns-denied']);
      assert.match(told.rule ?? '', /deny-name/);
    });
  }
  test('other names under the same suffix pass, and names that no rule lists can be looked up', async () => {
    await passes(lab.host, 'late.listed.example');
    assert.deepEqual(digShort(lab.host, SERVER.v4, ['free.test']), [
      webAddress(1 + NAMES.indexOf('free.test')).v4,
    ]);
    await isRefused(lab.host, 'free.test');
  });
  test('an allowed name on the address of a denied one goes on', async () => {
    await isRefused(lab.host, SHARED.v4);
    await passes(lab.host, 'good.listed.example');
    using flow = await openEchoFlow(lab.host, `TCP4:${SHARED.v4}:7`);
    await flow.echo('one');
    assert.match(dig(lab.host, SERVER.v4, ['shared.evil.test']).stdout, KERNEL_NXDOMAIN);
    await flow.echo('two');
    await passes(lab.host, 'good.listed.example');
  });
  test('after the stop a denied name is looked up again', async () => {
    await enforcer.stop();
    await passes(lab.host, 'bad.listed.example');
  });
});
