/*
 * Answers that the kernel does not parse: user space asks again, and the addresses pass shortly after.
 * test/lab/topology.ts, unbound on 192.0.2.53 (BIND takes no more than 100 records of a name). Each name has addresses of its own.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { dig } from '../lab/clients.ts';
import { addressRecords, type DnsRecord } from '../lab/records.ts';
import { startUnbound } from '../lab/resolvers.ts';
import { startWeb } from '../lab/servers.ts';
import { createLab, ip, type Lab, RESOLVERS } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { isRefused, passes, passesSoon } from './learning-lab.ts';

const SOON_MS = 2_000;
const [SERVER] = RESOLVERS;
const manyV6 = (net: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `2001:db8:2::${net}:${(index + 1).toString(16)}`);
const manyV4 = (first: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `198.51.100.${first + index}`);

interface Unparsed {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly over: 'v4' | 'v6';
  readonly words: readonly string[];
  readonly unparsed: RegExp;
  /** How many TCP segments the server's link hands on as one packet. */
  readonly segments: number;
}

const CASES: readonly Unparsed[] = [
  {
    name: 'huge',
    addresses: manyV6('a', 300),
    over: 'v4',
    words: ['+tcp'],
    unparsed: /size|split/,
    segments: 65_535,
  },
  { name: 'split', addresses: manyV6('b', 300), over: 'v6', words: ['+tcp'], unparsed: /split/, segments: 1 },
  { name: 'two', addresses: manyV4(1, 100), over: 'v4', words: ['+tcp'], unparsed: /split/, segments: 1 },
  {
    name: 'four',
    addresses: manyV4(101, 100),
    over: 'v4',
    words: ['+ignore'],
    unparsed: /fragment/,
    segments: 1,
  },
  {
    name: 'six',
    addresses: manyV6('c', 100),
    over: 'v6',
    words: ['+ignore'],
    unparsed: /fragment/,
    segments: 1,
  },
];
const RECORDS: readonly DnsRecord[] = [
  ...CASES.flatMap(({ name, addresses }) => addressRecords(`${name}.big.example`, addresses)),
  {
    name: 'hint.big.example',
    type: 'HTTPS',
    value: '1 . alpn=h2 ipv4hint=203.0.113.1 ipv6hint=2001:db8:2::bad',
  },
  ...addressRecords('hint.big.example', ['203.0.113.2', '2001:db8:2::2']),
];

describe('answers that the kernel does not parse', () => {
  let lab: Lab;
  let enforcer: RunningEnforcer;
  before(async () => {
    lab = createLab();
    await Promise.all([
      startWeb(lab.web),
      startUnbound(lab.dns, { addresses: [SERVER.v4, SERVER.v6], records: RECORDS }),
    ]);
    lab.host.useResolvConf(`nameserver ${SERVER.v4}\n`);
    enforcer = await startEnforcer(lab.host, [
      '-iface=eth0',
      '-eface=eth0',
      '-cn=.big.example',
      `-resolver=${SERVER.v4},${SERVER.v6}`,
    ]);
  });
  after(() => lab.close());

  for (const { name, addresses, over, words, unparsed, segments } of CASES) {
    const transport = `${words.join(' ')} over IP${over} in packets of at most ${segments} segments`;
    test(`${addresses.length} addresses asked ${transport} pass soon`, async () => {
      ip(lab.dns, [`link set dev eth0 gso_max_segs ${segments}`]);
      const [first = '', last = ''] = [addresses[0], addresses.at(-1)];
      const type = first.includes(':') ? 'AAAA' : 'A';
      await isRefused(lab.host, last);
      const since = enforcer.events().length;
      const answer = dig(lab.host, SERVER[over], [...words, '+bufsize=4096', `${name}.big.example`, type]);
      assert.match(answer.stdout, new RegExp(`flags: qr [^t]*;.* ANSWER: ${addresses.length},`));
      await passesSoon(lab.host, last);
      await passes(lab.host, first);
      const told = await enforcer.waitForEvent(({ reason }) => reason === 'dns-unparsed', SOON_MS, since);
      assert.match(told.unparsed ?? '', unparsed);
    });
  }

  test('HTTPS records: the addresses of the name pass soon, hints that are none of them do not', async () => {
    await isRefused(lab.host, '203.0.113.2');
    assert.match(dig(lab.host, SERVER.v4, ['hint.big.example', 'HTTPS']).stdout, /ipv4hint=203\.0\.113\.1/);
    await passesSoon(lab.host, '203.0.113.2');
    await passesSoon(lab.host, '2001:db8:2::2');
    await isRefused(lab.host, '203.0.113.1');
    await isRefused(lab.host, '2001:db8:2::bad');
  });
});
