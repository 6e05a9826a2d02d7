/*
 * Verdicts kept with sockets: a flow of this host goes on though the LRU maps have forgotten it. The lab is that of
 * robust-lab.ts; here `web` is also the outside from which calls come in.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import { startTcpEcho } from '../lab/servers.ts';
import { HOST, type Lab } from '../lab/topology.ts';
import { startEnforcer } from './enforcer.ts';
import { openEchoFlow } from './learning-flow.ts';
import { ALLOWED, ALLOWED_ADDRESS, createRobustLab, FLAGS, isOpen, killNow, startFor } from './robust-lab.ts';
import { evictAll } from './robust-maps.ts';

const CALL = `TCP4:${HOST.v4}:7`;
const OUT = `TCP4:${ALLOWED_ADDRESS}:7`;
const OTHER_RULE = ['-iface=eth0', '-eface=eth0', '-cidr=203.0.113.1'];

let lab: Lab;
let host: Namespace;
let outside: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  outside = lab.web;
  await startTcpEcho(host);
});
after(() => lab.close());

describe('an inbound session', () => {
  for (const call of [CALL, `TCP6:[${HOST.v6}]:7`]) {
    test(`goes on without its entry, over kill -9 and a start with other rules: ${call}`, async (context) => {
      const enforcer = await startFor(context, host);
      using flow = await openEchoFlow(outside, call);
      await flow.echo('kept with the socket');
      assert.equal(evictAll(enforcer.instance, 'inbound'), 1);
      await flow.echo('evicted');
      await killNow(enforcer);
      await flow.echo('killed');
      await startEnforcer(host, OTHER_RULE, { instance: enforcer.instance });
      await flow.echo('restarted');
    });
  }

  test('gets no answer any more when its entry goes before a packet of its socket was judged', async (context) => {
    using flow = await openEchoFlow(outside, CALL);
    await flow.echo('before');
    const { instance } = await startFor(context, host);
    assert.ok(evictAll(instance, 'inbound') >= 1, 'seeded at the start');
    await assert.rejects(flow.echo('evicted'), /Cannot wait for the echo/);
  });
});

describe('an outbound flow without its entry', () => {
  test('goes on though its lease is gone, which no new one can', async (context) => {
    const { instance } = await startFor(context, host);
    assert.equal(await isOpen(host, ALLOWED), true);
    using flow = await openEchoFlow(host, OUT);
    await flow.echo('kept with the socket');
    assert.ok(evictAll(instance, 'flows') >= 1);
    assert.ok(evictAll(instance, 'learned') >= 1);
    await flow.echo('evicted');
    assert.equal(await isOpen(host, ALLOWED_ADDRESS), false);
    await flow.echo('evicted, and a new one was refused');
  });

  test('is judged anew after a restart: goes on by a lease that lives', async (context) => {
    const enforcer = await startFor(context, host);
    assert.equal(await isOpen(host, ALLOWED), true);
    using flow = await openEchoFlow(host, OUT);
    await flow.echo('kept with the socket');
    evictAll(enforcer.instance, 'flows');
    await killNow(enforcer);
    await startEnforcer(host, FLAGS, { instance: enforcer.instance });
    await flow.echo('restarted');
  });

  test('ends when its rule is withdrawn', async (context) => {
    const enforcer = await startFor(context, host);
    assert.equal(await isOpen(host, ALLOWED), true);
    using flow = await openEchoFlow(host, OUT);
    await flow.echo('kept with the socket');
    evictAll(enforcer.instance, 'flows');
    await killNow(enforcer);
    await flow.echo('killed');
    await startEnforcer(host, OTHER_RULE, { instance: enforcer.instance });
    const endedMs = await flow.untilClosed('withdrawn');
    assert.ok(endedMs < 1_000, `reset at once, not timed out: ${endedMs} ms`);
  });
});
