/*
 * Names by rule, learned from real resolvers: test/lab/topology.ts, dnsmasq on 192.0.2.53, unbound on .54,
 * BIND on .55. Every server has every name, at addresses of its own: what one taught says nothing of another.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { dig, digShort } from '../lab/clients.ts';
import { startBind, startDnsmasq, startUnbound } from '../lab/resolvers.ts';
import { startWeb } from '../lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { distinctRecords, isRefused, passes, passesSoon, webAddress } from './learning-lab.ts';

const RULES = [
  '-cn=.sub.example',
  '-cn=ome.test',
  '-name=exact.example,started.example',
  '-name=a*.pattern.example',
  '-name=**.deep.example',
  '-cn=.MiXed.Example',
];
const LISTED = [
  'www.sub.example',
  'a.b.sub.example',
  'ome.test',
  'home.test',
  'www.rome.test',
  'a.pattern.example',
  'abc.pattern.example',
  'x.deep.example',
  'x.y.deep.example',
];
const UNLISTED = [
  'sub.example',
  'xsub.example',
  'om.test',
  'ome.test.org',
  'www.exact.example',
  'xexact.example',
  'ba.pattern.example',
  'a.b.pattern.example',
  'pattern.example',
  'deep.example',
  'other.example',
];
const MIXED = 'www.mixed.example';
const EXACT = 'exact.example';
/** Listed, and never asked for by a client. */
const STARTED = 'started.example';
const NAMES = [...LISTED, ...UNLISTED, MIXED, EXACT, STARTED];
const SERVERS = [
  { name: 'dnsmasq', start: startDnsmasq, at: RESOLVERS[0], first: 1 },
  { name: 'unbound', start: startUnbound, at: RESOLVERS[1], first: 101 },
  { name: 'BIND', start: startBind, at: RESOLVERS[2], first: 201 },
] as const;
const FAMILIES = [
  { args: ['-4'], family: 'v4' },
  { args: ['-6'], family: 'v6' },
] as const;

describe('names by rule', () => {
  let lab: Lab;
  let enforcer: RunningEnforcer;
  before(async () => {
    lab = createLab();
    await Promise.all([
      startWeb(lab.web),
      ...SERVERS.map(({ start, at, first }) =>
        start(lab.dns, { addresses: [at.v4, at.v6], records: distinctRecords(NAMES, first) }),
      ),
    ]);
    lab.host.useResolvConf(`nameserver ${RESOLVERS[0].v4}\n`);
    await passes(lab.host, 'other.example'); // nothing else stands in the way
    enforcer = await startEnforcer(lab.host, [
      '-iface=eth0',
      '-eface=eth0',
      ...RULES,
      ...SERVERS.flatMap(({ at }) => [`-resolver=${at.v4}`, `-resolver=${at.v6}`]),
    ]);
  });
  after(() => lab.close());

  for (const { name: server, at, first } of SERVERS) {
    describe(server, () => {
      before(() => lab.host.useResolvConf(`nameserver ${at.v4}\n`));

      for (const { args, family } of FAMILIES) {
        for (const name of LISTED) {
          test(`${name} passes over IP${family} once it was looked up, not before`, async () => {
            const address = webAddress(first + NAMES.indexOf(name))[family];
            await isRefused(lab.host, address);
            const { remoteAddress } = await passes(lab.host, name, { args });
            assert.equal(remoteAddress, address);
            await passes(lab.host, address);
          });
        }
        test(`${EXACT} passes over IP${family}`, async () => {
          await passes(lab.host, EXACT, { args });
        });
        for (const name of UNLISTED) {
          test(`${name} is refused over IP${family}`, async () => {
            await isRefused(lab.host, name, { args });
          });
        }
      }
      for (const [family, type, question] of [
        ['v4', 'A', 'wWw.mIxEd.eXaMpLe'],
        ['v6', 'AAAA', 'WWW.MIXED.EXAMPLE.'],
      ] as const) {
        test(`the answer to ${question} ${type}, asked over IP${family}, teaches`, async () => {
          const address = webAddress(first + NAMES.indexOf(MIXED))[family];
          await isRefused(lab.host, address);
          assert.deepEqual(digShort(lab.host, at[family], [question, type]), [address]);
          await passes(lab.host, address);
        });
      }
    });
  }

  test('an exact name is asked for at the start, since a program may have cached its address', async () => {
    const { v4, v6 } = webAddress(1 + NAMES.indexOf(STARTED));
    for (const address of [v4, v6]) await passesSoon(lab.host, address);
  });

  test('an address that no name has is refused', async () => {
    await isRefused(lab.host, '203.0.113.250');
    await isRefused(lab.host, '2001:db8:2::ffff');
  });

  test('a name that does not exist teaches nothing and is told as it is', () => {
    assert.match(dig(lab.host, RESOLVERS[2].v4, ['nope.sub.example']).stdout, /status: NXDOMAIN/);
  });

  test('after the stop everything passes again', async () => {
    assert.deepEqual(await enforcer.stop(), { code: 0, signal: null });
    await passes(lab.host, 'other.example');
    await passes(lab.host, '203.0.113.250');
    await passes(lab.host, '2001:db8:2::ffff');
  });
});
