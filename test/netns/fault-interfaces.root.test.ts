/*
 * Interfaces that flap, go to another namespace and come back, or go in the middle of a packet, and more of that than
 * netlink can tell: the others are judged all the time, and what is there is judged again. The lab is that of
 * robust-lab.ts with a second way out, the traffic that of invariants.ts.
 *
 *   host eth9 192.0.2.101/30 ── web eth9 192.0.2.102     203.0.113.128/25
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { findCheckout } from '../lab/checkout.ts';
import { mustRun } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import { ip, type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import type { RunningEnforcer } from './enforcer.ts';
import {
  ANY_NAME,
  assertNothingLeft,
  assertTruthful,
  ECHO,
  isReached,
  type Judged,
  noteKernel,
  type Prober,
  startAnyName,
  startProber,
} from './invariants.ts';
import { chains, createRobustLab, FLAGS, newInstance, startFor } from './robust-lab.ts';

const LIMIT_MS = 15_000;
const THERE = '203.0.113.131';
const NOT_THERE = '203.0.113.130';
const FLAPS = 40;
const DELETIONS = 15;
/** More than what may wait on a netlink socket. */
const CHANGES = 6_000;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  await startAnyName(lab);
});
after(() => lab.close());

function setUp(): readonly string[] {
  return [
    'link set eth9 up',
    'addr add 192.0.2.101/30 dev eth9',
    'route add 203.0.113.128/25 via 192.0.2.102',
  ];
}

function addEth9(): void {
  ip(host, [`link add eth9 type veth peer name eth9 netns ${lab.web.name}`]);
  ip(lab.web, ['link set eth9 up', 'addr add 192.0.2.102/30 dev eth9']);
  ip(host, setUp());
}

interface Running {
  readonly enforcer: RunningEnforcer;
  readonly prober: Prober;
  readonly judged: Judged;
}

async function startWithEth9(context: TestContext): Promise<Running> {
  const instance = newInstance();
  addEth9();
  context.after(() => host.run('ip', ['link', 'del', 'eth9']));
  const more = ['-eface=eth9', `-cidr=${ECHO},${THERE}`, `-resolver=${RESOLVERS[0].v4},${ANY_NAME.v4}`];
  const enforcer = await startFor(context, host, [...FLAGS, ...more], { instance, log: 'text' });
  const prober = await startProber(host, { nonce: instance });
  await prober.strict();
  const running = { enforcer, prober, judged: { host, instance, place: host, hooks: await chains(host) } };
  await assertJudged(running, 'at first');
  return running;
}

/** Both ways out are judged, and `status` says so. */
async function assertJudged({ judged }: Running, when: string): Promise<void> {
  assert.equal(await isReached(host, NOT_THERE), false, when);
  assert.equal(await isReached(host, THERE), true, when);
  const status = await assertTruthful(judged, when);
  const told = status.interfaces.map(({ name, hooks }) => `${name} ${[...hooks].sort().join(' ')}`);
  assert.deepEqual(told.sort(), ['eth0 egress ingress', 'eth9 egress ingress'], when);
}

/** Resolves once hooks are on eth9; its ifindex is another each time. */
async function untilAttached({ enforcer }: Running, mark: number): Promise<void> {
  await enforcer.process.waitForLine(/interface "eth9" is there: attached/u, LIMIT_MS, mark);
}

async function assertEnds({ enforcer, prober, judged }: Running, context: TestContext): Promise<void> {
  const report = await prober.finish(10);
  const noted = noteKernel(judged.instance);
  await enforcer.stop();
  await assertNothingLeft(judged, noted, 'after stop');
  assert.equal(await isReached(host, NOT_THERE), true);
  context.diagnostic(`interfaces: ${JSON.stringify(report)}`);
}

test(`one that goes down and up ${FLAPS} times, and is renamed there and back, is judged at the end of each`, async (context) => {
  const running = await startWithEth9(context);
  for (let flap = 0; flap < FLAPS; flap++) {
    const name = flap % 4 === 3 ? 'other9' : 'eth9';
    ip(host, ['link set eth9 down', `link set eth9 name ${name}`, `link set ${name} up`]);
    ip(host, ['route replace 203.0.113.128/25 via 192.0.2.102']);
    assert.equal(await isReached(host, NOT_THERE), false, `flap ${flap}`);
    ip(host, [`link set ${name} down`, `link set ${name} name eth9`, 'link set eth9 up']);
    ip(host, ['route replace 203.0.113.128/25 via 192.0.2.102']);
  }
  await until(async () => (await chains(host)).join() === running.judged.hooks.join(), {
    limitMs: LIMIT_MS,
    what: 'the hooks of before',
  });
  await until(
    async () =>
      (await assertTruthful(running.judged, 'flaps')).interfaces.some(({ name }) => name === 'eth9'),
    { limitMs: LIMIT_MS, what: 'status to tell of eth9' },
  );
  assert.equal(await isReached(host, NOT_THERE), false);
  assert.equal(await isReached(host, THERE), true);
  await assertEnds(running, context);
});

test('one that is moved to another namespace is told gone, and judged when it is back', async (context) => {
  const running = await startWithEth9(context);
  for (const time of ['first', 'second']) {
    const mark = running.enforcer.process.mark();
    ip(host, [`link set eth9 netns ${lab.dns.name}`]);
    await running.enforcer.process.waitForLine(/interface "eth9" is gone/u, LIMIT_MS, mark);
    assert.ok(
      (await chains(host)).every((line) => !line.startsWith('eth9')),
      time,
    );
    ip(lab.dns, [`link set eth9 netns ${host.name}`]);
    await untilAttached(running, mark);
    ip(host, setUp());
    await assertJudged(running, time);
  }
  await assertEnds(running, context);
});

test(`one that is deleted ${DELETIONS} times while packets go out by it is judged each time it returns`, async (context) => {
  const running = await startWithEth9(context);
  const flood = join(host.directory, 'flood');
  mustRun(['clang', '-O2', join(findCheckout(), 'test', 'netns', 'observe-flood.c'), '-o', flood]);
  for (let round = 0; round < DELETIONS; round++) {
    const mark = running.enforcer.process.mark();
    const sending = host.spawn(flood, ['203.0.113.132', `${round * 20_000}`, '20000', '100000']);
    ip(host, ['link del eth9']);
    addEth9();
    await untilAttached(running, mark);
    assert.equal(await isReached(host, NOT_THERE), false, `round ${round}`);
    await sending.exited;
  }
  await assertJudged(running, 'at the end');
  await assertEnds(running, context);
});

test(`${CHANGES} changes while the process stands still, more than netlink keeps: what is there then is judged`, async (context) => {
  const running = await startWithEth9(context);
  const { process } = running.enforcer;
  const mark = process.mark();
  process.kill('SIGSTOP');
  ip(host, ['link del eth9', 'link add many9 type veth peer name many9p']);
  const flaps = Array.from({ length: CHANGES }, (_, i) => `link set many9 mtu ${1_000 + (i % 400)}`);
  host.must('ip', ['-batch', '-'], { input: `${flaps.join('\n')}\n` });
  ip(host, ['link del many9']);
  addEth9();
  process.kill('SIGCONT');
  await process.waitForLine(/link events were lost/u, LIMIT_MS, mark);
  await untilAttached(running, mark);
  await assertJudged(running, 'after the loss');
  await assertEnds(running, context);
});
