/*
 * The first packet after an answer is never lost: fresh names, each with an address of its own, connected at the moment
 * of the answer. test/lab/topology.ts, unbound on 192.0.2.53. Nothing is tried twice.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { connectAtFirstPacket } from '../lab/clients.ts';
import { type FirstPacketPlan, type FreshNames, freshRecords, MAX_FRESH_V4 } from '../lab/first-packet.ts';
import { startUnbound } from '../lab/resolvers.ts';
import { startWeb } from '../lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import { type RunningEnforcer, startEnforcer } from './enforcer.ts';
import { isRefused } from './learning-lab.ts';

const [SERVER] = RESOLVERS;
const COUNT = 2_000;
const V6: FreshNames = { suffix: 'fresh.example', nonce: 'six', count: COUNT, family: 6 };
const V4: FreshNames = { suffix: 'fresh.example', nonce: 'four', count: MAX_FRESH_V4, family: 4 };
const LOAD: Omit<FirstPacketPlan, keyof FreshNames> = {
  resolver: SERVER.v4,
  resolverPort: 53,
  parallel: 16,
  connectPort: 80,
  limitMs: 5_000,
};
const LAST = [V6, V4].map((names) => freshRecords(names).at(-1)?.value ?? '');

describe('first packet', () => {
  let lab: Lab;
  let enforcer: RunningEnforcer;
  before(async () => {
    lab = createLab();
    await Promise.all([
      startWeb(lab.web),
      startUnbound(lab.dns, {
        addresses: [SERVER.v4, SERVER.v6],
        records: [...freshRecords(V6), ...freshRecords(V4)],
      }),
    ]);
  });
  after(() => lab.close());
  afterEach(() => enforcer.stop());
  const enforce = async () => {
    enforcer = await startEnforcer(lab.host, [
      '-iface=eth0',
      '-eface=eth0',
      '-cn=.fresh.example',
      `-resolver=${SERVER.v4},${SERVER.v6}`,
    ]);
    for (const address of LAST) await isRefused(lab.host, address);
  };
  const assertNoneLost = async (plan: FirstPacketPlan) => {
    const { answered, connected, synRetransmits, failures } = await connectAtFirstPacket(lab.host, plan);
    assert.deepEqual(
      { answered, connected, synRetransmits, failures },
      {
        answered: plan.count,
        connected: plan.count,
        synRetransmits: 0,
        failures: [],
      },
    );
  };

  /* Answers are stamped by a cheaper clock than packets: it must never be ahead. */
  const assertToldInOrder = () => {
    const learnedAt = new Map<string, string>();
    const early: string[] = [];
    let flows = 0;
    for (const { ts, reason, addresses = [], kind, dst = '' } of enforcer.events()) {
      if (reason === 'learned') for (const address of addresses) learnedAt.set(address, ts);
      const at = learnedAt.get(dst);
      if (kind !== 'flow' || at === undefined) continue;
      flows += 1;
      if (ts < at) early.push(`${dst} at ${ts}, learned at ${at}`);
    }
    assert.ok(flows > COUNT / 2, `${flows} flows`);
    assert.deepEqual(early, []);
  };

  test(`${COUNT} names over IPv6, ${MAX_FRESH_V4} over IPv4: none is lost`, async () => {
    await enforce();
    await assertNoneLost({ ...LOAD, ...V6 });
    await assertNoneLost({ ...LOAD, ...V4, resolver: SERVER.v6 });
    assertToldInOrder();
  });

  test('none is lost when the enforcer was killed, and what was blocked stays so', async () => {
    await enforce();
    enforcer.process.kill('SIGKILL');
    assert.equal((await enforcer.process.exited).signal, 'SIGKILL');
    await assertNoneLost({ ...LOAD, ...V6 });
    await assertNoneLost({ ...LOAD, ...V4, resolver: SERVER.v6 });
    await isRefused(lab.host, '2001:db8:2::bad');
  });
});
