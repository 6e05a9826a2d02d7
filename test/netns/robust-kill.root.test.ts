/*
 * kill -9 while it runs: never open. At any other instant: fault-instants.root.test.ts. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freshRecords } from '../lab/first-packet.ts';
import type { Namespace } from '../lab/namespace.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { startEnforcer } from './enforcer.ts';
import {
  ALLOWED,
  BLOCKED,
  createRobustLab,
  FLAGS,
  isOpen,
  killNow,
  l7egg,
  newInstance,
  startFor,
  startScript,
} from './robust-lab.ts';
import type { Traffic, TrafficReport } from './robust-traffic.ts';

const KILLS = 30;
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
