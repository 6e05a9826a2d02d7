/*
 * A stub on loopback takes over while an enforcer runs: resolv.conf names it, and its answers come in on lo. The lab is
 * that of robust-lab.ts, with a dnsmasq on the host that asks 192.0.2.53, and an /etc of its own.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { digShort } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { giveOwnEtc } from '../lab/own-etc.ts';
import { startDnsmasqForwarder } from '../lab/resolvers.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { ALLOWED, ALLOWED_ADDRESS, createRobustLab, FLAGS, isOpen, OTHER, startFor } from './robust-lab.ts';

const LIMIT_MS = 2_000;
const [{ v4: UPSTREAM }] = RESOLVERS;

let lab: Lab;
let host: Namespace;
let resolvConf: string;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  resolvConf = join(giveOwnEtc(host), 'resolv.conf');
});
after(() => lab.close());

for (const { wait, says, learns } of [
  { wait: true, says: /interface "lo" is there: attached/, learns: true },
  { wait: false, says: /new resolver is on loopback: restart to learn from it/, learns: false },
]) {
  const flags = [...FLAGS, `-cidr=${UPSTREAM}`, ...(wait ? ['-wait'] : [])];
  test(`resolv.conf comes to name 127.0.0.1, ${wait ? 'with -wait: learns on lo' : 'without -wait: says that it learns nothing'}`, async (context) => {
    const stub = await startDnsmasqForwarder(host, { address: UPSTREAM, port: 53 });
    context.after(() => stub.stop());
    writeFileSync(resolvConf, `nameserver ${UPSTREAM}\n`);
    const enforcer = await startFor(context, host, flags);
    assert.deepEqual(digShort(host, '127.0.0.1', [OTHER, 'A']), ['198.51.100.211']);
    writeFileSync(resolvConf, 'nameserver 127.0.0.1\n');
    await enforcer.process.waitForLine(
      new RegExp(`resolvers changed from ${UPSTREAM} to 127.0.0.1$`),
      LIMIT_MS,
    );
    await enforcer.process.waitForLine(says, LIMIT_MS);
    assert.equal(await isOpen(host, ALLOWED_ADDRESS), false, 'no look-up has taught it yet');
    assert.deepEqual(digShort(host, '127.0.0.1', [ALLOWED, 'A']), [ALLOWED_ADDRESS]);
    assert.equal(await isOpen(host, ALLOWED_ADDRESS), learns);
  });
}
