/*
 * Shapes of answers, from real resolvers: CNAME chains, 40 addresses, UDP with EDNS, truncated and asked again
 * over TCP. test/lab/topology.ts, dnsmasq on 192.0.2.53, unbound on .54, BIND on .55, each with its own addresses.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { curlMany, dig, digShort } from '../lab/clients.ts';
import { addressRecords, type DnsRecord } from '../lab/records.ts';
import { startBind, startDnsmasq, startUnbound } from '../lab/resolvers.ts';
import { startWeb } from '../lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import { startEnforcer } from './enforcer.ts';
import { isRefused, passes, webAddress } from './learning-lab.ts';

const MANY = 40;

/** Ways to ask for an answer with 40 addresses: EDNS over UDP, TCP at once, and TCP after a truncated answer. */
const MANY_WAYS = [
  { name: 'edns', words: ['+ignore', '+bufsize=4096'] },
  { name: 'tcp', words: ['+tcp'] },
  { name: 'retry', words: ['+noedns'] },
] as const;
const SERVERS = [
  { name: 'dnsmasq', start: startDnsmasq, at: RESOLVERS[0], first: 1 },
  { name: 'unbound', start: startUnbound, at: RESOLVERS[1], first: 168 },
  { name: 'BIND', start: startBind, at: RESOLVERS[2], first: 335 },
] as const;

/** Where the addresses of one server lie, as offsets from its first. */
const AT = { chain: 0, leaving: 1, elsewhere: 2, into: 3, apart: 4, kept: 5, many: 7 } as const;

/** A chain's target is listed for both families and resolvers, so each test has a chain of its own. */
function recordsOf(server: string, first: number): readonly DnsRecord[] {
  const at = (name: string, offset: number): readonly DnsRecord[] => {
    const { v4, v6 } = webAddress(first + offset);
    return addressRecords(name, [v4, v6]);
  };
  const alias = (name: string, value: string): DnsRecord => ({ name, type: 'CNAME', value });
  const many = (name: string, from: number) =>
    Array.from({ length: MANY }, (_, index) => at(name, from + index)).flat();
  return [
    alias('a.chain.example', 'b.chain.example'),
    alias('b.chain.example', 'c.chain.example'),
    ...at('c.chain.example', AT.chain),
    ...['v4', 'v6'].flatMap((family) => [
      alias(`${family}.${server}.leaving.example`, `Edge.${family}.${server}.Cdn.test`),
      alias(`Edge.${family}.${server}.Cdn.test`, `node.${family}.${server}.cdn.test`),
      ...at(`node.${family}.${server}.cdn.test`, AT.leaving),
    ]),
    ...at('elsewhere.cdn.test', AT.elsewhere),
    alias(`apart.${server}.leaving.example`, `apart.${server}.cdn.test`),
    ...at(`apart.${server}.cdn.test`, AT.apart),
    ...at('one.chain.example', AT.kept),
    ...at('two.chain.example', AT.kept + 1),
    alias('into.test', 'target.listed.example'),
    ...at('target.listed.example', AT.into),
    ...MANY_WAYS.flatMap(({ name }, index) => many(`${name}.many.example`, AT.many + index * MANY)),
    ...many('glibc.many.example', AT.many + MANY_WAYS.length * MANY),
  ];
}

describe('shapes of answers', () => {
  let lab: Lab;
  before(async () => {
    lab = createLab();
    await Promise.all([
      startWeb(lab.web),
      ...SERVERS.map(({ name, start, at, first }) =>
        start(lab.dns, { addresses: [at.v4, at.v6], records: recordsOf(name, first) }),
      ),
    ]);
    await startEnforcer(lab.host, [
      '-iface=eth0',
      '-eface=eth0',
      '-cn=.chain.example,.leaving.example,.listed.example,.many.example',
      ...SERVERS.flatMap(({ at }) => [`-resolver=${at.v4}`, `-resolver=${at.v6}`]),
    ]);
  });
  after(() => lab.close());

  for (const { name: server, at, first } of SERVERS) {
    describe(server, () => {
      before(() => lab.host.useResolvConf(`nameserver ${at.v4}\n`));
      const addressOf = (offset: number) => webAddress(first + offset);

      for (const family of ['v4', 'v6'] as const) {
        const args = [family === 'v4' ? '-4' : '-6'];
        const type = family === 'v4' ? 'A' : 'AAAA';
        test(`a chain of CNAMEs passes over IP${family}`, async () => {
          await isRefused(lab.host, addressOf(AT.chain)[family]);
          await passes(lab.host, 'a.chain.example', { args });
          await passes(lab.host, addressOf(AT.chain)[family]);
        });
        test(`a chain that leaves the listed suffix passes over IP${family}, its neighbours do not`, async () => {
          const target = `node.${family}.${server}.cdn.test`;
          await isRefused(lab.host, target, { args });
          await passes(lab.host, `${family}.${server}.leaving.example`, { args });
          await passes(lab.host, target, { args });
          await isRefused(lab.host, 'elsewhere.cdn.test', { args });
        });
        test(`an unlisted name that points at a listed one teaches nothing over IP${family}`, async () => {
          await isRefused(lab.host, 'into.test', { args });
          await passes(lab.host, 'target.listed.example', { args });
          await passes(lab.host, 'into.test', { args });
        });
        for (const [way, { name, words }] of MANY_WAYS.entries()) {
          test(`each of ${MANY} ${type} records passes at once when asked by ${words.join(' ')}`, async () => {
            const own = Array.from(
              { length: MANY },
              (_, index) => addressOf(AT.many + way * MANY + index)[family],
            );
            await isRefused(lab.host, own.at(-1) ?? '');
            const answer = digShort(lab.host, at[family], [...words, `${name}.many.example`, type]);
            assert.deepEqual([...answer].sort(), [...own].sort());
            assert.deepEqual(await failures(lab, own), []);
          });
        }
      }
      test('the target of a chain teaches when it is asked apart, once the chain was seen', async () => {
        const target = `apart.${server}.cdn.test`;
        const { v6 } = addressOf(AT.apart);
        assert.deepEqual(digShort(lab.host, at.v4, [target, 'AAAA']), [v6]);
        await isRefused(lab.host, v6);
        assert.equal(digShort(lab.host, at.v4, [`apart.${server}.leaving.example`, 'A']).length, 2);
        await isRefused(lab.host, v6);
        assert.deepEqual(digShort(lab.host, at.v4, [target, 'AAAA']), [v6]);
        await passes(lab.host, v6);
      });
      test('two questions, one after the other over one TCP connection, both teach', async () => {
        const [one, two] = [addressOf(AT.kept).v4, addressOf(AT.kept + 1).v4];
        const words = ['+tcp', '+keepopen', 'one.chain.example', 'two.chain.example'];
        await isRefused(lab.host, two);
        assert.deepEqual(digShort(lab.host, at.v4, words), [one, two]);
        await passes(lab.host, one);
        await passes(lab.host, two);
      });
      test('a truncated answer teaches nothing; A and AAAA, asked by glibc in one TCP segment, do', async () => {
        const { v4, v6 } = addressOf(AT.many + MANY_WAYS.length * MANY);
        const cut = dig(lab.host, at.v4, ['+noedns', '+ignore', 'glibc.many.example', 'A']);
        assert.match(cut.stdout, /flags: [a-z ]*\btc\b/);
        await isRefused(lab.host, v4);
        await passes(lab.host, 'glibc.many.example');
        await passes(lab.host, v4);
        await passes(lab.host, v6);
      });
    });
  }
});

/** The addresses of `all` to which a connect did not succeed at the first try. */
async function failures(lab: Lab, all: readonly string[]): Promise<readonly string[]> {
  const urls = all.map((address) => `http://${address.includes(':') ? `[${address}]` : address}/`);
  const fetched = await curlMany(lab.host, urls, { limitMs: 900 }); // less than the first SYN's repetition
  return fetched.filter(({ exitCode }) => exitCode !== 0).map(({ url, error }) => `${url}: ${error}`);
}
