/*
 * How many resolvers there may be, and one that can't be reached. The lab is that of robust-lab.ts, with a resolver on
 * 198.51.100.53 in `web`, behind the default route.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { digShort } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { addressRecords } from '../lab/records.ts';
import { startDnsmasq } from '../lab/resolvers.ts';
import { ip, type Lab, RESOLVERS, WEB } from '../lab/topology.ts';
import {
  ALLOWED_ADDRESS,
  BLOCKED,
  chains,
  createRobustLab,
  FLAGS,
  filesOf,
  isOpen,
  l7egg,
  newInstance,
  startFor,
} from './robust-lab.ts';

const [{ v4: NEAR }] = RESOLVERS;
const FAR = '198.51.100.53';
const NAME = 'far.ok.example';
const ADDRESS = '198.51.100.213';

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  await startDnsmasq(lab.web, { addresses: [FAR], records: addressRecords(NAME, [ADDRESS]) });
});
after(() => lab.close());

const onPorts = (count: number) =>
  Array.from({ length: count }, (_, index) => `${NEAR}:${53 + index}`).join();
/** The near resolver comes last. */
const others = (count: number) =>
  [...Array.from({ length: count - 1 }, (_, index) => `203.0.113.${index + 1}`), NEAR].join();

const BOUNDS = [
  {
    what: '4 ports',
    legal: onPorts(4),
    illegal: onPorts(5),
    says: /ports 53, 54, 55, 56, 57: at most 4 .*legal/,
  },
  {
    what: '64 resolvers',
    legal: others(64),
    illegal: others(65),
    says: /65 resolvers: at most 64 are legal/,
  },
];

describe('resolvers', () => {
  for (const { what, legal, illegal, says } of BOUNDS) {
    test(`${what} are in force: the last that was given teaches`, async (context) => {
      const { instance } = await startFor(context, host, [...FLAGS, `-resolver=${legal}`]);
      const { stdout } = await l7egg(host, 'status', '-json', `-instance=${instance}`);
      assert.deepEqual(JSON.parse(stdout).resolvers, legal.replace(`${NEAR}:53,`, `${NEAR},`).split(','));
      assert.equal(await isOpen(host, ALLOWED_ADDRESS), false);
      assert.deepEqual(digShort(host, NEAR, ['www.ok.example', 'A']), [ALLOWED_ADDRESS]);
      assert.equal(await isOpen(host, ALLOWED_ADDRESS), true);
    });

    test(`more than ${what} are exit 2 that says so, and nothing is changed`, async (context) => {
      const instance = newInstance();
      context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
      const done = await l7egg(host, ...FLAGS, `-resolver=${illegal}`, `-instance=${instance}`);
      assert.equal(done.code, 2);
      assert.match(done.stderr, /^l7egg-cli: -resolver has .*\n$/u);
      assert.match(done.stderr, says);
      assert.deepEqual(filesOf(instance), []);
      assert.deepEqual(await chains(host), []);
      assert.equal(await isOpen(host, BLOCKED), true);
    });
  }
});

const UNREACHABLE = [
  { what: 'given by -resolver', conf: '', flags: [`-resolver=${FAR}`] },
  { what: 'named by resolv.conf', conf: `nameserver ${FAR}\n`, flags: [] },
];

describe('a resolver without a route', () => {
  before(() => ip(host, [`route del default via ${WEB.v4}`]));

  for (const { what, conf, flags } of UNREACHABLE) {
    test(`${what}: enforces, and learns from it once it has one`, async (context) => {
      context.after(() => {
        host.run('ip', ['route', 'del', 'default']);
        host.useResolvConf(`nameserver ${NEAR}\n`);
      });
      host.useResolvConf(conf);
      // The exact name has it asked at the start.
      const enforcer = await startFor(context, host, [...FLAGS, '-name=exact.test', ...flags]);
      enforcer.process.kill('SIGHUP'); // and once more
      await enforcer.process.waitForLine(/^reloaded/, 2_000);
      assert.deepEqual(digShort(host, FAR, [NAME, 'A']), []);
      ip(host, [`route add default via ${WEB.v4}`]);
      assert.equal(await isOpen(host, ADDRESS), false);
      assert.deepEqual(digShort(host, FAR, [NAME, 'A']), [ADDRESS]);
      assert.equal(await isOpen(host, ADDRESS), true);
      assert.equal((await l7egg(host, 'status', `-instance=${enforcer.instance}`)).code, 0);
      assert.equal(enforcer.process.exit, undefined);
    });
  }
});
