/*
 * Live flows survive the end of their lease and a restart, also those that the LRU map of flows has forgotten. The lab is that of
 * robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { startEnforcer } from './enforcer.ts';
import { openEchoFlow } from './learning-flow.ts';
import { ALLOWED, ALLOWED_ADDRESS, createRobustLab, FLAGS, isOpen, killNow, startFor } from './robust-lab.ts';
import { evictAll } from './robust-maps.ts';

const LIMIT_MS = 2_000;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** How many connections to the echo server `web` has. */
function connections(): number {
  const rows = lab.web.must('ss', ['-tnH', 'state', 'established', 'sport', '=', ':7']);
  return rows.split('\n').filter((row) => row !== '').length;
}

for (const { what, maps } of [
  { what: 'whose lease has ended', maps: ['learned'] },
  { what: 'whose lease has ended and whose entry was evicted', maps: ['learned', 'flows'] },
] as const) {
  test(`a flow ${what} goes on over a restart with the same rules`, async (context) => {
    const enforcer = await startFor(context, host);
    assert.equal(await isOpen(host, ALLOWED), true);
    using flow = await openEchoFlow(host, `TCP4:${ALLOWED_ADDRESS}:7`);
    await flow.echo('before');
    for (const map of maps) assert.ok(evictAll(enforcer.instance, map) >= 1);
    await flow.echo('evicted');
    await killNow(enforcer);
    await startEnforcer(host, FLAGS, { instance: enforcer.instance });
    await flow.echo('restarted');
  });

  test(`a flow ${what} is closed at both ends when the host closes it`, async (context) => {
    const { instance } = await startFor(context, host);
    assert.equal(await isOpen(host, ALLOWED), true);
    const before = connections();
    using flow = await openEchoFlow(host, `TCP4:${ALLOWED_ADDRESS}:7`);
    await flow.echo('before');
    assert.equal(connections(), before + 1);
    for (const map of maps) assert.ok(evictAll(instance, map) >= 1);
    flow[Symbol.dispose]();
    await until(() => connections() === before, { limitMs: LIMIT_MS, what: 'the end of the connection' });
  });
}
