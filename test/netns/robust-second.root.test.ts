/*
 * Two enforcers: on one instance, on one interface, side by side, at the same instant. The lab is that of
 * robust-lab.ts with a second uplink: host eth1 ── web eth1, by which the web prefixes are reached.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { addSecondUplink, type Lab, WEB } from '../lab/topology.ts';
import type { RunningEnforcer } from './enforcer.ts';
import {
  ALLOWED_ADDRESS,
  BLOCKED,
  createRobustLab,
  filesOf,
  isOpen,
  killNow,
  l7egg,
  newInstance,
  startFor,
} from './robust-lab.ts';

const LIMIT_MS = 15_000;
const FLAGS = ['-iface=eth0', '-eface=eth1', `-cidr=${ALLOWED_ADDRESS}`];
const ROUNDS = 5;

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  addSecondUplink(lab);
});
after(() => lab.close());

async function assertUntouched(first: RunningEnforcer): Promise<void> {
  assert.equal(first.process.exit, undefined, 'the first one runs on');
  assert.equal(await isOpen(host, BLOCKED), false);
  assert.equal(await isOpen(host, ALLOWED_ADDRESS), true);
  assert.equal((await l7egg(host, 'status', `-instance=${first.instance}`)).code, 0);
}

/** Asserts that a second start fails with exit 1 and one sentence in which `pattern` is found. */
async function assertTaken(instance: string, flags: readonly string[], pattern: RegExp): Promise<void> {
  const done = await l7egg(host, ...flags, `-instance=${instance}`);
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, /^l7egg-cli: [^\n]*\n$/u);
  assert.match(done.stderr, pattern);
}

describe('a second enforcer', () => {
  test('of the same instance: exit 1 that names the process, the first one untouched', async (context) => {
    const first = await startFor(context, host, FLAGS);
    const other = ['-iface=eth0', '-eface=eth0', '-cidr=203.0.113.1'];
    for (const flags of [FLAGS, other]) {
      const pattern = new RegExp(`"${first.instance}" is running as process ${first.process.pid}:`, 'u');
      await assertTaken(first.instance, flags, pattern);
      await assertUntouched(first);
    }
  });

  test('of another instance on the same eface: exit 1 that names the first, which is untouched', async (context) => {
    const first = await startFor(context, host, FLAGS);
    const instance = newInstance();
    await assertTaken(
      instance,
      FLAGS,
      new RegExp(`"eth1" is controlled by instance "${first.instance}"`, 'u'),
    );
    assert.deepEqual(filesOf(instance), []);
    await assertUntouched(first);
  });

  test('on the eface of one that was killed: exit 1 too', async (context) => {
    const first = await startFor(context, host, FLAGS);
    await killNow(first);
    await assertTaken(newInstance(), FLAGS, new RegExp(`instance "${first.instance}"`, 'u'));
    assert.equal(await isOpen(host, BLOCKED), false);
  });

  test('of the same instance in another network namespace: exit 1, the first one untouched', async (context) => {
    const first = await startFor(context, host, FLAGS);
    await killNow(first);
    const words = ['-iface=eth0', '-eface=eth0', '-cidr=203.0.113.1', `-instance=${first.instance}`];
    const done = await l7egg(lab.dns, ...words);
    assert.equal(done.code, 1);
    assert.match(done.stderr, /^l7egg-cli: .*in force in another network namespace.*\n$/mu);
    assert.equal(await isOpen(host, BLOCKED), false);
  });

  test('on another interface: both are in force', async (context) => {
    const first = await startFor(context, host, FLAGS);
    const second = await startFor(context, host, ['-iface=eth0', '-eface=eth0', '-cidr=203.0.113.1']);
    await assertUntouched(first);
    assert.equal(await isOpen(host, WEB.v4), false, 'the second one refuses on eth0');
    await second.stop();
    assert.equal(await isOpen(host, WEB.v4), true);
    await assertUntouched(first);
  });

  test('that only learns where the first one enforces: both are in force', async (context) => {
    const first = await startFor(context, host, FLAGS);
    const second = await startFor(context, host, ['-iface=eth1', '-eface=eth0', '-cidr=203.0.113.1']);
    await assertUntouched(first);
    await second.stop();
    await assertUntouched(first);
  });

  test('is welcome once the first one has stopped', async (context) => {
    const first = await startFor(context, host, FLAGS);
    await first.stop();
    await startFor(context, host, FLAGS);
    assert.equal(await isOpen(host, BLOCKED), false);
  });
});

/** Starts all at once; resolves once each one enforces or has ended. */
async function race(context: TestContext, instances: readonly string[]): Promise<readonly Process[]> {
  for (const instance of instances) context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const racers = instances.map((instance) => host.spawn(findCli(), [...FLAGS, `-instance=${instance}`]));
  await Promise.all(
    racers.map((racer) =>
      Promise.race([racer.waitForLine(/^enforcing/, LIMIT_MS).catch(() => {}), racer.exited]),
    ),
  );
  return racers;
}

describe('started at the same instant, exactly one wins:', () => {
  const RACES = [
    { what: 'the same instance', names: (first: string) => [first, first, first] },
    { what: 'the same eface', names: (first: string) => [first, newInstance(), newInstance()] },
  ];
  for (const { what, names } of RACES) {
    test(`${what}, ${ROUNDS} times`, async (context) => {
      for (let round = 0; round < ROUNDS; round++) {
        const racers = await race(context, names(newInstance()));
        const winners = racers.filter(({ exit }) => exit === undefined);
        assert.equal(winners.length, 1, racers.map((racer) => racer.tail()).join('\n--\n'));
        assert.deepEqual(
          racers.filter(({ exit }) => exit !== undefined).map(({ exit }) => exit?.code),
          [1, 1],
        );
        assert.equal(await isOpen(host, BLOCKED), false);
        for (const winner of winners) await winner.stop();
        assert.equal(await isOpen(host, BLOCKED), true);
      }
    });
  }
});

test('status, asked all the time, disturbs no start', async (context) => {
  const instance = newInstance();
  let isOver = false;
  const asking = async () => {
    while (!isOver) await l7egg(host, 'status', `-instance=${instance}`);
  };
  const askers = [asking(), asking()];
  for (let round = 0; round < ROUNDS; round++) {
    const enforcer = await startFor(context, host, FLAGS, { instance });
    await enforcer.stop();
  }
  isOver = true;
  await Promise.all(askers);
});

test('stop and start at the same instant: one of them has the last word, whole', async (context) => {
  const instance = newInstance();
  for (let round = 0; round < ROUNDS; round++) {
    const first = await startFor(context, host, FLAGS, { instance });
    const stopping = l7egg(host, 'stop', `-instance=${instance}`);
    const second = host.spawn(findCli(), [...FLAGS, `-instance=${instance}`]);
    assert.equal((await stopping).code, 0);
    await first.process.exited;
    await Promise.race([second.waitForLine(/^enforcing/, LIMIT_MS).catch(() => {}), second.exited]);
    const isRunning = second.exit === undefined;
    const { code } = await l7egg(host, 'status', `-instance=${instance}`);
    assert.equal(code, isRunning ? 0 : 3);
    assert.equal(await isOpen(host, BLOCKED), !isRunning);
    await second.stop();
    assert.deepEqual(filesOf(instance), []);
  }
});
