/*
 * Own addresses that come and go while an enforcer runs: an answer that points at one is skipped as inward. The lab is
 * that of robust-lab.ts; br9 is a bridge of the host that the tests make and delete.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { parseAddress } from '../../src/policy/prefix.ts';
import { digShort } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { addressRecords } from '../lab/records.ts';
import { ip, type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import type { RunningEnforcer } from './enforcer.ts';
import { createRobustLab, isOpen, startFor } from './robust-lab.ts';
import { hasKey } from './robust-maps.ts';

const LIMIT_MS = 2_000;
const [{ v4: RESOLVER }] = RESOLVERS;
const NAME = 'own.ok.example';
const FAMILIES = [
  { family: 'IPv4', type: 'A', own: '198.51.100.77', bits: 32 },
  { family: 'IPv6', type: 'AAAA', own: '2001:db8:2::77', bits: 128 },
] as const;
/** Else an address is tentative for a second. */
const NODAD = { IPv4: '', IPv6: 'nodad' } as const;
const RECORDS = addressRecords(
  NAME,
  FAMILIES.map(({ own }) => own),
);

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab(RECORDS);
  host = lab.host;
});
after(() => lab.close());
beforeEach(() => {
  host.run('ip', ['link', 'del', 'br9']);
  for (const { own, bits } of FAMILIES) host.run('ip', ['addr', 'del', `${own}/${bits}`, 'dev', 'eth0']);
});

/** Resolves once the enforcer knows that `address` is one of the host's, or is none any more. */
async function untilKnown({ instance }: RunningEnforcer, address: string, isOwn: boolean): Promise<void> {
  const key = Buffer.from(parseAddress(address));
  await until(() => hasKey(instance, 'own_addresses', key) === isOwn, {
    limitMs: LIMIT_MS,
    what: `${address} as ${isOwn ? 'an own' : 'a foreign'} address`,
  });
}

for (const { family, type, own, bits } of FAMILIES) {
  /** Looks the name up; what is told of the answer that has its address. */
  const lookUp = async (enforcer: RunningEnforcer) => {
    const since = enforcer.events().length;
    assert.deepEqual(digShort(host, RESOLVER, [NAME, type]), [own]);
    const told = await enforcer.waitForEvent(({ addresses }) => addresses?.[0] === own, LIMIT_MS, since);
    return [told.verdict, told.reason];
  };
  const assertTaught = async (enforcer: RunningEnforcer) => {
    assert.equal(await isOpen(host, own), false, 'no look-up has taught it yet');
    assert.deepEqual(await lookUp(enforcer), ['allow', 'learned']);
    assert.equal(await isOpen(host, own), true);
  };
  const assertSkipped = async (enforcer: RunningEnforcer) =>
    assert.deepEqual(await lookUp(enforcer), ['deny', 'dns-inward']);
  const address = `${own}/${bits}`;

  describe(`${family}: an answer that points at an address`, () => {
    test('that the host never had teaches', async (context) => {
      await assertTaught(await startFor(context, host));
    });

    test('added after the start is skipped, and teaches once it is removed', async (context) => {
      const enforcer = await startFor(context, host);
      ip(host, [`addr add ${address} dev eth0 ${NODAD[family]}`]);
      await untilKnown(enforcer, own, true);
      await assertSkipped(enforcer);
      ip(host, [`addr del ${address} dev eth0`]);
      await untilKnown(enforcer, own, false);
      await assertTaught(enforcer);
    });

    test('of a device that comes after the start is skipped, and teaches once that is gone', async (context) => {
      const enforcer = await startFor(context, host);
      ip(host, [
        'link add br9 type bridge',
        'link set br9 up',
        `addr add ${address} dev br9 ${NODAD[family]}`,
      ]);
      await untilKnown(enforcer, own, true);
      await assertSkipped(enforcer);
      ip(host, ['link del br9']);
      await untilKnown(enforcer, own, false);
      await assertTaught(enforcer);
    });

    test('from before the start, removed after it, is skipped until then', async (context) => {
      ip(host, [`addr add ${address} dev eth0 ${NODAD[family]}`]);
      const enforcer = await startFor(context, host);
      await assertSkipped(enforcer);
      ip(host, [`addr del ${address} dev eth0`]);
      await untilKnown(enforcer, own, false);
      await assertTaught(enforcer);
    });
  });
}
