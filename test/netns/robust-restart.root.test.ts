/*
 * A restart with other flags, over what a killed or a leaving enforcer left in force. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { openEchoFlow } from './learning-flow.ts';
import { ALLOWED, ALLOWED_ADDRESS, createRobustLab, isOpen, startFor } from './robust-lab.ts';

const INTERFACES = ['-iface=eth0', '-eface=eth0'];
/* Of ALLOWED; a pattern, since exact names are looked up at start. */
const NAMED = '-name=ww*.ok.example';
const FLOW = `TCP4:${ALLOWED_ADDRESS}:7`;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** Ends `enforcer` by `signal`, which leaves all in force, and starts the next one with `flags`. */
async function restart(
  enforcer: RunningEnforcer,
  flags: readonly string[],
  signal: NodeJS.Signals = 'SIGKILL',
): Promise<RunningEnforcer> {
  enforcer.process.kill(signal);
  await enforcer.process.exited;
  const { instance } = enforcer;
  const next = await startEnforcer(host, [...INTERFACES, ...flags], { instance });
  assert.match(next.remarks().join('\n'), /adopted what was in force/);
  return next;
}

/** An enforcer with one rule that has leased ALLOWED_ADDRESS. */
async function startWithLease(context: TestContext, flags: readonly string[]): Promise<RunningEnforcer> {
  const enforcer = await startFor(context, host, [...INTERFACES, ...flags]);
  assert.equal(await isOpen(host, ALLOWED_ADDRESS), false, 'refused before its name is looked up');
  assert.equal(await isOpen(host, ALLOWED), true);
  return enforcer;
}

describe('an unchanged rule keeps its lease and its live flow', () => {
  for (const signal of ['SIGKILL', 'SIGUSR2'] as const) {
    test(`over ${signal} and a start with one rule more`, async (context) => {
      const enforcer = await startWithLease(context, [NAMED]);
      using flow = await openEchoFlow(host, FLOW);
      await flow.echo('before');
      await restart(enforcer, ['-cidr=203.0.113.1', NAMED], signal);
      await flow.echo('after');
      assert.equal(await isOpen(host, ALLOWED_ADDRESS), true, 'the lease serves new connections');
    });
  }

  test('over two restarts, beside rules that come and go', async (context) => {
    const enforcer = await startWithLease(context, [NAMED, '-cidr=203.0.113.1']);
    using flow = await openEchoFlow(host, FLOW);
    await restart(await restart(enforcer, ['-cn=.com', NAMED]), ['-cidr=203.0.113.2', NAMED]);
    await flow.echo('after');
    assert.equal(await isOpen(host, ALLOWED_ADDRESS), true);
  });
});

const WITHDRAWALS = [
  { what: 'withdrawn', before: [NAMED, '-cidr=203.0.113.1'], after: ['-cidr=203.0.113.1'] },
  { what: 'replaced by another name', before: [NAMED], after: ['-name=other.ok.example'] },
  { what: 'replaced by a wider name', before: [NAMED], after: ['-cn=.ok.example'] },
  { what: 'limited to other ports', before: [NAMED], after: [NAMED, '-port=443'] },
  { what: 'overruled by a deny-cidr', before: [NAMED], after: [NAMED, `-deny-cidr=${ALLOWED_ADDRESS}`] },
];

describe('a rule that is', () => {
  for (const row of WITHDRAWALS) {
    test(`${row.what}: its flow ends at the next packet, its lease serves nobody`, async (context) => {
      const enforcer = await startWithLease(context, row.before);
      using flow = await openEchoFlow(host, FLOW);
      await flow.echo('before');
      await restart(enforcer, row.after);
      const endedMs = await flow.untilClosed('after');
      assert.ok(endedMs < 1_000, `reset at once, not timed out: ${endedMs} ms`);
      assert.equal(await isOpen(host, ALLOWED_ADDRESS), false);
    });
  }

  test('withdrawn and given again: starts anew, without its old lease', async (context) => {
    const enforcer = await startWithLease(context, [NAMED]);
    const without = await restart(enforcer, ['-cidr=203.0.113.1']);
    await restart(without, [NAMED]);
    assert.equal(await isOpen(host, ALLOWED_ADDRESS), false, 'the old lease is gone');
    assert.equal(await isOpen(host, ALLOWED), true, 'a look-up makes a new one');
  });
});

test('the flow of a withdrawn rule ends with an event that says so', async (context) => {
  const enforcer = await startWithLease(context, [NAMED]);
  using flow = await openEchoFlow(host, FLOW);
  const next = await restart(enforcer, ['-cidr=203.0.113.1']);
  await flow.untilClosed('after');
  const event = await next.waitForEvent(({ verdict, dport }) => verdict === 'deny' && dport === 7);
  assert.equal(event.reason, 'withdrawn');
  assert.equal(event.dst, ALLOWED_ADDRESS);
});
