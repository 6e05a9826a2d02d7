/*
 * `observe -f`: what comes, at once, and how it ends. The lab is that of observe-lab.ts.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { controlPath } from '../../src/enforcer/control-path.ts';
import { findCli } from '../lab/checkout.ts';
import { curl } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { isAtOnce } from './learning-lab.ts';
import {
  CIDR,
  createObserveLab,
  FLAGS,
  type Follower,
  follow,
  NOT_ENFORCING,
  observe,
  observed,
  REFUSED,
  startFollower,
} from './observe-lab.ts';
import { killNow, l7egg, startFor } from './robust-lab.ts';

const FAILED = 1;
const SOON = { limitMs: 5_000, what: 'an event' };

let lab: Lab;
let host: Namespace;
before(async () => {
  lab = await createObserveLab();
  host = lab.host;
});
after(() => lab.close());

const refuse = (port: number) => curl(host, `http://${REFUSED}:${port}/`);
const seesPort = (follower: Follower, port: number) =>
  until(() => follower.events.some(({ dport }) => dport === port), SOON);

describe('observe -f tells', () => {
  test('what comes, within 100 ms of the connect', async (context) => {
    const enforcer = await startFor(context, host, FLAGS);
    const follower = await follow(host, enforcer);
    let port = 1_000;
    await isAtOnce(async () => {
      port += 1;
      const started = performance.now();
      await refuse(port);
      await seesPort(follower, port);
      return (follower.cameMs.at(-1) ?? Number.NaN) - started;
    });
    // Whatever happens between events, none is held back: the one before is not waited for.
    assert.deepEqual(
      follower.events.slice(1).map(({ dport }) => dport),
      [1_001, 1_002, 1_003],
    );
  });

  test('the last ten first, or as many as -n says, and what comes once', async (context) => {
    const enforcer = await startFor(context, host, FLAGS);
    for (let port = 1; port <= 12; port += 1) await refuse(port);
    await enforcer.waitForEvent(({ dport }) => dport === 12);
    const words = (...flags: string[]) => ['observe', '-json', `-instance=${enforcer.instance}`, ...flags];
    const ten = host.spawn(findCli(), words('-f'));
    const two = host.spawn(findCli(), words('-f', '-n=2'));
    const all = host.spawn(findCli(), words('-f', '-since=1h'));
    const none = host.spawn(findCli(), words('-f', '-n=0'));
    for (const each of [ten, two, all]) await each.waitForLine(/"dport":12,/u, SOON.limitMs);
    await until(async () => {
      await refuse(13);
      return none.lines.length > 0;
    }, SOON);
    await refuse(14);
    for (const each of [ten, two, all, none]) await each.waitForLine(/"dport":14,/u, SOON.limitMs);
    const seqsOf = ({ lines }: typeof ten) => lines.map(({ text }): number => JSON.parse(text).seq);
    const told = enforcer.events().map(({ seq }) => seq);
    const at = enforcer.events().findIndex(({ dport }) => dport === 12) + 1;
    assert.deepEqual(seqsOf(ten), told.slice(at - 10));
    assert.deepEqual(seqsOf(two), told.slice(at - 2));
    assert.deepEqual(seqsOf(all), told);
    assert.ok(seqsOf(none).every((seq) => seq > at));
  });

  test('what is wanted only', async (context) => {
    const enforcer = await startFor(context, host, FLAGS);
    const all = await follow(host, enforcer);
    const allowed = startFollower(host, enforcer, '-verdict=allow');
    const port = startFollower(host, enforcer, '-port=2000-2999', '-verdict=deny');
    await refuse(2_500);
    await refuse(3_500);
    await curl(host, `http://${CIDR}/`);
    await refuse(2_501);
    await seesPort(all, 2_501);
    await seesPort(port, 2_501);
    await until(() => allowed.events.length > 0, SOON);
    // Its end may be told, too.
    assert.deepEqual([...new Set(allowed.events.map(({ dst, dport }) => `${dst}:${dport}`))], [`${CIDR}:80`]);
    assert.deepEqual(
      port.events.map(({ dport }) => dport),
      [2_500, 2_501],
    );
  });

  test('an instance its own events', async (context) => {
    const enforcer = await startFor(context, host, FLAGS);
    const other = await startFor(context, lab.dns, [
      '-iface=eth0',
      '-eface=eth0',
      '-cidr=192.0.2.0/24',
      '-resolver=192.0.2.53',
    ]);
    const [mine, its] = await Promise.all([follow(host, enforcer), follow(host, other)]);
    await refuse(4_000);
    await curl(lab.dns, `http://${REFUSED}:4001/`);
    await Promise.all([seesPort(mine, 4_000), seesPort(its, 4_001)]);
    assert.equal(
      mine.events.some(({ dport }) => dport === 4_001),
      false,
    );
    assert.equal(
      its.events.some(({ dport }) => dport === 4_000),
      false,
    );
    await other.stop();
    assert.deepEqual(await its.process.exited, { code: 0, signal: null });
    await refuse(4_002);
    await seesPort(mine, 4_002);
  });
});

describe('observe -f ends', () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`by ${signal}: exit 0, without a word`, async (context) => {
      const enforcer = await startFor(context, host, FLAGS);
      const follower = await follow(host, enforcer);
      follower.process.kill(signal);
      assert.deepEqual(await follower.process.exited, { code: 0, signal: null });
      assert.deepEqual(follower.said, []);
    });
  }

  for (const [title, how, action] of [
    ['that was stopped', 'SIGTERM', 'stopping'],
    ['that left all in force', 'SIGUSR2', 'left-in-force'],
  ] as const) {
    test(`with an enforcer ${title}: its last event, a sentence, exit 0`, async (context) => {
      const enforcer = await startFor(context, host, FLAGS);
      const follower = await follow(host, enforcer);
      const filtered = await follow(host, enforcer, '-since=1h');
      enforcer.process.kill(how);
      await enforcer.process.exited;
      for (const each of [follower, filtered]) {
        assert.deepEqual(await each.process.exited, { code: 0, signal: null });
        assert.equal(each.events.at(-1)?.action, action);
        assert.deepEqual(each.said, [`instance "${enforcer.instance}": the enforcer has ended`]);
      }
      assert.equal(existsSync(controlPath(enforcer.instance)), false);
      assert.equal((await observe(host, enforcer)).code, NOT_ENFORCING);
    });
  }

  test('with an enforcer that was stopped and did not wait for it: says so, exit 1', async (context) => {
    const enforcer = await startFor(context, host, FLAGS);
    const [slow, quick] = [await follow(host, enforcer), await follow(host, enforcer)];
    slow.process.kill('SIGSTOP');
    host.must('bash', ['-c', `for port in {1..4000}; do echo >/dev/udp/${CIDR}/$port; done`]);
    await seesPort(quick, 4_000);
    enforcer.process.kill('SIGTERM');
    await enforcer.process.exited;
    slow.process.kill('SIGCONT');
    assert.deepEqual(await slow.process.exited, { code: FAILED, signal: null });
    assert.deepEqual(slow.said, [
      `instance "${enforcer.instance}": the enforcer has ended, and did not wait for its last events to be read`,
    ]);
    assert.deepEqual(await quick.process.exited, { code: 0, signal: null });
    assert.equal(quick.events.at(-1)?.action, 'stopping');
  });

  test('with an enforcer that was killed: says so, exit 1; the next one takes its place', async (context) => {
    const enforcer = await startFor(context, host, FLAGS);
    const follower = await follow(host, enforcer);
    await killNow(enforcer);
    assert.deepEqual(await follower.process.exited, { code: FAILED, signal: null });
    assert.deepEqual(follower.said, [
      `instance "${enforcer.instance}": the enforcer was killed; what it had put in force stays so`,
    ]);
    assert.ok(existsSync(controlPath(enforcer.instance)));
    const done = await observe(host, enforcer);
    assert.deepEqual([done.code, done.stdout], [NOT_ENFORCING, '']);
    assert.match(done.stderr, /no process tells of events/u);
    const next = await startFor(context, host, FLAGS, { instance: enforcer.instance });
    const [first] = await observed(host, next);
    assert.deepEqual([first?.seq, first?.action], [1, 'adopted']);
    await killNow(next);
    assert.equal((await l7egg(host, 'clean', `-instance=${enforcer.instance}`)).code, 0);
    assert.equal(existsSync(controlPath(enforcer.instance)), false);
  });

  test('with the reader of its output: exit 0', async (context) => {
    const enforcer = await startFor(context, host, FLAGS);
    const script = 'set -o pipefail; "$@" | head -n 1; echo "ended $PIPESTATUS"';
    const words = ['observe', '-f', '-json', `-instance=${enforcer.instance}`];
    const piped = host.spawn('bash', ['-c', script, 'bash', findCli(), ...words]);
    await piped.waitForLine(/^\{/u, SOON.limitMs);
    await until(async () => {
      await refuse(5_000); // it is told by its next line
      await refuse(5_001);
      return piped.exit;
    }, SOON);
    assert.deepEqual(piped.lines.map(({ text }) => text).slice(1), ['ended 0']);
    assert.deepEqual(
      piped.lines.map(({ stream }) => stream),
      ['stdout', 'stdout'],
    );
  });

  test('with a disk that is full: says so, exit 1', async (context) => {
    const enforcer = await startFor(context, host, FLAGS);
    const words = ['observe', '-json', `-instance=${enforcer.instance}`];
    const done = await host.runAsync('sh', ['-c', '"$@" >/dev/full', 'sh', findCli(), ...words]);
    assert.equal(done.code, FAILED);
    assert.match(done.stderr, /Cannot write to stdout: ENOSPC/u);
  });
});
