/*
 * kill -9 at any moment: never open, never half a policy. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { findCli } from '../lab/checkout.ts';
import { freshRecords } from '../lab/first-packet.ts';
import type { Namespace } from '../lab/namespace.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { startEnforcer } from './enforcer.ts';
import {
  ALLOWED,
  BLOCKED,
  chains,
  createRobustLab,
  FLAGS,
  filesOf,
  isLoaded,
  isOpen,
  killNow,
  l7egg,
  newInstance,
  OTHER,
  pinnedPrograms,
  startFor,
  startScript,
} from './robust-lab.ts';
import type { Traffic, TrafficReport } from './robust-traffic.ts';

const KILLS = 100;
const ROUNDS = 30;
const LIMIT_MS = 15_000;
const NAMES = { suffix: 'fresh.ok.example', nonce: 'k', count: 8_000, family: 6 } as const;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab(freshRecords(NAMES));
  host = lab.host;
});
after(() => lab.close());

test(`${KILLS} times kill -9 and start: traffic does not notice`, async (context) => {
  const instance = newInstance();
  const [{ v4: resolver }] = RESOLVERS;
  const plan: Traffic = { ...NAMES, names: NAMES.count, resolver, blocked: BLOCKED, echo: '198.51.100.9' };
  let enforcer = await startFor(context, host, [...FLAGS, '-cidr=198.51.100.9'], { instance });
  const client = startScript(host, 'robust-client', JSON.stringify(plan));
  await client.waitForLine(/^going$/, 5_000);
  for (let killed = 0; killed < KILLS; killed++) {
    await killNow(enforcer);
    enforcer = await startEnforcer(host, [...FLAGS, '-cidr=198.51.100.9'], { instance });
  }
  client.kill('SIGTERM');
  const { text } = await client.waitForLine(/^\{/, 5_000);
  await enforcer.stop();
  const report: TrafficReport = JSON.parse(text);
  assert.deepEqual(report.failures, []);
  assert.equal(report.failed, 0);
  assert.equal(report.synRetransmits, 0, 'no first packet was lost');
  const leastDone = Math.min(report.fresh, report.blocked, report.echoed);
  assert.ok(leastDone >= KILLS, `each kind of traffic went on all the time: ${text}`);
});

test('after kill -9 all stays in force with no process, and the next start adopts it', async (context) => {
  const instance = newInstance();
  const first = await startFor(context, host, FLAGS, { instance });
  await killNow(first);
  const status = await l7egg(host, 'status', `-instance=${instance}`);
  assert.equal(status.code, 0);
  assert.match(status.stdout, /process +none/);
  assert.equal(await isOpen(host, BLOCKED), false);
  assert.equal(await isOpen(host, ALLOWED), true);
  const second = await startEnforcer(host, FLAGS, { instance });
  assert.match(second.remarks().join('\n'), /adopted what was in force/);
  await second.stop();
  assert.equal(await isOpen(host, BLOCKED), true);
});

/** Asserts that `status` says what traffic shows: exit 0 iff blocked traffic is refused, and then names work. */
async function assertTruthful(instance: string, when: string): Promise<boolean> {
  const { code, stdout, stderr } = await l7egg(host, 'status', `-instance=${instance}`);
  assert.ok(code === 0 || code === 3, `${when}: status ended with ${code}\n${stdout}${stderr}`);
  const isEnforcing = code === 0;
  assert.equal(await isOpen(host, BLOCKED), !isEnforcing, `${when}: status ended with ${code}\n${stdout}`);
  assert.equal(await isOpen(host, OTHER), true, `${when}: an allowed name works`);
  return isEnforcing;
}

async function assertNothingLeft(instance: string, when: string): Promise<void> {
  assert.deepEqual(filesOf(instance), [], when);
  assert.deepEqual(await chains(host), [], when);
  assert.equal(await isOpen(host, BLOCKED), true, when);
}

describe('kill -9 at any instant of', () => {
  test(`start, ${ROUNDS} instants: never half a policy, the next start works, clean leaves nothing`, async (context) => {
    const instance = newInstance();
    const from = performance.now();
    await (await startFor(context, host, FLAGS, { instance })).stop();
    const wholeMs = performance.now() - from;
    const found = new Set<boolean>();
    for (let round = 0; round < ROUNDS; round++) {
      const isLast = round === ROUNDS - 1;
      const delayMs = Math.round((wholeMs * round) / ROUNDS);
      const when = `killed ${delayMs} ms after the start, round ${round}`;
      const started = host.spawn(findCli(), [...FLAGS, `-instance=${instance}`]);
      // The machine may be slower now than it was: one round at least is killed when all is in force.
      if (isLast) await started.waitForLine(/^enforcing/, LIMIT_MS);
      else await pause(delayMs);
      started.kill('SIGKILL');
      await started.exited;
      found.add(await assertTruthful(instance, when));
      // Every other time the leftovers are what the next start, killed or not, has to begin with.
      if (round % 4 === 1) {
        const next = await startEnforcer(host, FLAGS, { instance });
        assert.equal(await isOpen(host, BLOCKED), false, `${when}: the next start enforces`);
        await next.stop();
      } else if (round % 2 === 1) {
        assert.equal((await l7egg(host, 'clean', `-instance=${instance}`)).code, 0, when);
        await assertNothingLeft(instance, when);
      }
    }
    assert.equal(found.size, 2, 'some were killed before and some after the verdict was in force');
    assert.equal((await l7egg(host, 'clean', `-instance=${instance}`)).code, 0);
    await assertNothingLeft(instance, 'at the end');
  });

  test(`stop, ${ROUNDS} instants: never half a policy, the next start works, clean leaves nothing`, async (context) => {
    context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
    const instance = newInstance();
    for (let round = 0; round < ROUNDS; round++) {
      const delayMs = round;
      const when = `killed ${delayMs} ms after SIGTERM, round ${round}`;
      const enforcer = await startEnforcer(host, FLAGS, { instance });
      const programs = pinnedPrograms(instance);
      enforcer.process.kill('SIGTERM');
      await pause(delayMs);
      await killNow(enforcer);
      await assertTruthful(instance, when);
      if (round % 2 === 1) {
        assert.equal((await l7egg(host, 'clean', `-instance=${instance}`)).code, 0, when);
        await assertNothingLeft(instance, when);
        assert.deepEqual(programs.filter(isLoaded), [], when);
      }
    }
    assert.equal((await l7egg(host, 'clean', `-instance=${instance}`)).code, 0);
    await assertNothingLeft(instance, 'at the end');
  });
});
