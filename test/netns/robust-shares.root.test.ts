/*
 * Leases over restarts whose rules come and go beside theirs, so that its share of the records moves and changes size.
 * The lab is that of robust-lab.ts; names below .a.test and .b.test have addresses of their own.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { curlMany, digShort } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { addressRecords } from '../lab/records.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { createRobustLab, isOpen, startFor } from './robust-lab.ts';

const [{ v4: RESOLVER }] = RESOLVERS;
const INTERFACES = ['-iface=eth0', '-eface=eth0'];
const KEPT = '-cn=.a.test';
const WITHDRAWN = '-cn=.b.test';
const MANY = 40;
const addresses = Array.from({ length: MANY }, (_, index) => `198.51.100.${100 + index}`);
const nameOf = (index: number) => `n${index}.a.test`;
const OF_WITHDRAWN = '198.51.100.99';
const NEW = { name: 'new.a.test', address: '198.51.100.98' };
const more = (count: number) => Array.from({ length: count }, (_, index) => `-cn=.more${index}.test`);

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab([
    ...addresses.flatMap((address, index) => addressRecords(nameOf(index), [address])),
    ...addressRecords('www.b.test', [OF_WITHDRAWN]),
    ...addressRecords(NEW.name, [NEW.address]),
  ]);
  host = lab.host;
});
after(() => lab.close());

/** Those of the kept rule's addresses to which a connect does not succeed at the first try. */
async function failures(): Promise<readonly string[]> {
  const fetched = await curlMany(
    host,
    addresses.map((address) => `http://${address}/`),
    { limitMs: 900 }, // less than the first SYN's repetition
  );
  return fetched.filter(({ exitCode }) => exitCode !== 0).map(({ url }) => url);
}

async function restart({ process, instance }: RunningEnforcer, rules: readonly string[]) {
  process.kill('SIGUSR2');
  assert.deepEqual(await process.exited, { code: 0, signal: null });
  const next = await startEnforcer(host, [...INTERFACES, ...rules], { instance });
  assert.match(next.remarks().join('\n'), /adopted what was in force/);
  return next;
}

const RESTARTS: readonly { what: string; first: readonly string[]; later: readonly (readonly string[])[] }[] =
  [
    { what: 'the same rules', first: [KEPT], later: [[KEPT]] },
    { what: 'further suffixes before it', first: [KEPT], later: [[...more(3), KEPT]] },
    { what: 'further names and patterns before it', first: [KEPT], later: [['-name=x.test,y*.test', KEPT]] },
    { what: 'a hundred rules more, its share is small', first: [KEPT], later: [[...more(100), KEPT]] },
    { what: 'fewer rules, its share is larger', first: [...more(100), KEPT], later: [[KEPT]] },
    {
      what: 'others in the place of others',
      first: ['-cn=.x.test', KEPT, '-cn=.y.test'],
      later: [['-cn=.z.test', KEPT]],
    },
    {
      what: 'more rules, then fewer, then more',
      first: [KEPT],
      later: [[...more(9), KEPT], [KEPT], [...more(5), KEPT]],
    },
  ];

describe(`${MANY} addresses of an unchanged rule pass without a look-up after a restart with`, () => {
  for (const { what, first, later } of RESTARTS) {
    test(what, async (context) => {
      let enforcer = await startFor(context, host, [...INTERFACES, WITHDRAWN, ...first]);
      assert.equal((await failures()).length, MANY, 'refused before their names are looked up');
      const names = addresses.map((_, index) => nameOf(index));
      assert.equal(digShort(host, RESOLVER, [...names, 'www.b.test']).length, MANY + 1);
      assert.equal(await isOpen(host, OF_WITHDRAWN), true);
      for (const rules of later) enforcer = await restart(enforcer, rules);
      assert.deepEqual(await failures(), []);
      assert.equal(await isOpen(host, OF_WITHDRAWN), false, 'its rule is withdrawn');
      assert.equal(await isOpen(host, NEW.address), false);
      assert.equal(await isOpen(host, NEW.name), true, 'the rule goes on learning');
      assert.deepEqual(await failures(), [], 'and gave up none for it');
    });
  }
});
