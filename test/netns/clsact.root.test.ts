/*
 * Kernels before 6.6 have no tcx: the same enforcer on clsact filters, which L7EGG_ATTACH=clsact asks for.
 * The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { findCli } from '../lab/checkout.ts';
import { runCommand } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { addSecondUplink, ip, type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { compileFixture } from '../libbpf/fixture.ts';
import { openEchoFlow } from './learning-flow.ts';
import {
  ALLOWED,
  ALLOWED_ADDRESS,
  BLOCKED,
  chains,
  createRobustLab,
  FLAGS,
  filesOf,
  isOpen,
  l7egg,
  newInstance,
  OTHER,
  startScript,
} from './robust-lab.ts';

const LIMIT_MS = 10_000;
const CLSACT = { env: { L7EGG_ATTACH: 'clsact' } };
const object = compileFixture();

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** An enforcer on clsact; all of it is cleaned after the test. */
async function start(
  context: { after(act: () => unknown): void },
  instance = newInstance(),
  flags: readonly string[] = FLAGS,
): Promise<{ process: Process; instance: string }> {
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const process = host.spawn(findCli(), [...flags, `-instance=${instance}`], CLSACT);
  await process.waitForLine(/^enforcing/, LIMIT_MS);
  return { process, instance };
}

async function kill(process: Process): Promise<void> {
  process.kill('SIGKILL');
  await process.exited;
}

const OURS = ['eth0 clsact', 'eth0 ingress clsact l7egg_arrive', 'eth0 egress clsact l7egg_egress'];

test('attaches filters, learns, refuses; SIGTERM opens and takes the qdisc along', async (context) => {
  const { process, instance } = await start(context);
  assert.deepEqual(await chains(host), OURS);
  assert.equal(await isOpen(host, BLOCKED), false);
  assert.equal(await isOpen(host, ALLOWED), true);
  assert.equal((await l7egg(host, 'status', `-instance=${instance}`)).code, 0);
  process.kill('SIGTERM');
  assert.deepEqual(await process.exited, { code: 0, signal: null });
  assert.deepEqual(await chains(host), []);
  assert.deepEqual(filesOf(instance), []);
  assert.equal(await isOpen(host, BLOCKED), true);
});

test('after kill -9 it refuses and learns on; the next start adopts flow and lease', async (context) => {
  const { process, instance } = await start(context);
  assert.equal(await isOpen(host, ALLOWED), true);
  using flow = await openEchoFlow(host, `TCP4:${ALLOWED_ADDRESS}:7`);
  await flow.echo('before');
  await kill(process);
  await flow.echo('killed');
  assert.equal(await isOpen(host, BLOCKED), false);
  assert.equal(await isOpen(host, OTHER), true);
  assert.equal((await l7egg(host, 'status', `-instance=${instance}`)).code, 0);
  const next = await start(context, instance);
  assert.match(next.process.tail(), /adopted what was in force/);
  await flow.echo('restarted');
  assert.equal(await isOpen(host, ALLOWED_ADDRESS), true);
  assert.equal(await isOpen(host, BLOCKED), false);
});

describe('with no process,', () => {
  for (const command of ['stop', 'clean']) {
    test(`${command} opens and leaves nothing`, async (context) => {
      const { process, instance } = await start(context);
      await kill(process);
      assert.equal((await l7egg(host, command, `-instance=${instance}`)).code, 0);
      assert.deepEqual(await chains(host), []);
      assert.deepEqual(filesOf(instance), []);
      assert.equal(await isOpen(host, BLOCKED), true);
    });

    test(`${command} from another network namespace opens and leaves nothing`, async (context) => {
      const { process, instance } = await start(context);
      await kill(process);
      assert.equal(runCommand([findCli(), command, `-instance=${instance}`]).code, 0);
      assert.equal(await isOpen(host, BLOCKED), true);
      assert.deepEqual(await chains(host), []);
      assert.deepEqual(filesOf(instance), []);
    });
  }
});

describe('others', () => {
  test('on a clsact qdisc that they made: it stays, and their filter, which runs behind ours', async (context) => {
    host.must('tc', ['qdisc', 'add', 'dev', 'eth0', 'clsact']);
    context.after(() => host.run('tc', ['qdisc', 'del', 'dev', 'eth0', 'clsact']));
    const stranger = startScript(host, 'robust-stranger', object, 'eth0', 'egress', 'clsact');
    await stranger.waitForLine(/^attached$/, LIMIT_MS);
    const usual = await chains(host);
    const { process } = await start(context);
    assert.deepEqual(
      (await chains(host)).filter((line) => !line.includes('l7egg')),
      usual,
    );
    assert.equal(await isOpen(host, ALLOWED), true);
    stranger.kill('SIGUSR1');
    await stranger.waitForLine(/^runs [1-9]/u, LIMIT_MS);
    process.kill('SIGTERM');
    await process.exited;
    assert.deepEqual(await chains(host), usual);
  });

  test('that came to the qdisc that we made: it stays for them', async (context) => {
    const { process } = await start(context);
    context.after(() => host.run('tc', ['qdisc', 'del', 'dev', 'eth0', 'clsact']));
    const stranger = startScript(host, 'robust-stranger', object, 'eth0', 'ingress', 'clsact');
    await stranger.waitForLine(/^attached$/, LIMIT_MS);
    process.kill('SIGTERM');
    await process.exited;
    assert.deepEqual(await chains(host), ['eth0 clsact', 'eth0 ingress clsact count']);
  });
});

test('status tells a filter that somebody took off', async (context) => {
  const { instance } = await start(context);
  host.must('tc', ['filter', 'del', 'dev', 'eth0', 'egress']);
  const { code, stdout } = await l7egg(host, 'status', `-instance=${instance}`);
  assert.equal(await isOpen(host, BLOCKED), true);
  assert.equal(code, 3, stdout);
  assert.match(stdout, /NOT ATTACHED \(egress\)/u);
});

test('an interface that is deleted and made again is attached again', async (context) => {
  const add = () => {
    ip(host, [`link add eth9 type veth peer name eth9 netns ${lab.web.name}`, 'link set eth9 up']);
    ip(lab.web, ['link set eth9 up', 'addr add 192.0.2.102/30 dev eth9']);
    ip(host, ['addr add 192.0.2.101/30 dev eth9', 'route add 203.0.113.128/25 via 192.0.2.102']);
  };
  add();
  context.after(() => host.run('ip', ['link', 'del', 'eth9']));
  const flags = ['-iface=eth0', '-eface=eth9', '-cidr=203.0.113.131'];
  const { process, instance } = await start(context, newInstance(), flags);
  const mark = process.mark();
  ip(host, ['link del eth9']);
  await process.waitForLine(/interface "eth9" is gone/, LIMIT_MS, mark);
  add();
  await process.waitForLine(/interface "eth9" is there: attached/, LIMIT_MS, mark);
  assert.equal(await isOpen(host, '203.0.113.130'), false);
  assert.equal(await isOpen(host, '203.0.113.131'), true);
  assert.equal((await l7egg(host, 'status', `-instance=${instance}`)).code, 0);
  assert.equal((await l7egg(host, 'stop', `-instance=${instance}`)).code, 0);
  assert.deepEqual(await chains(host), []);
});

describe('a second enforcer', () => {
  beforeEach(() => {
    host.run('ip', ['link', 'del', 'eth1']);
    addSecondUplink(lab);
  });
  after(() => host.run('ip', ['link', 'del', 'eth1']));
  const flags = ['-iface=eth0', '-eface=eth1', `-cidr=${ALLOWED_ADDRESS}`];

  test('of another instance on the same eface: exit 1, the first one untouched', async (context) => {
    await start(context, newInstance(), flags);
    const done = await host.runAsync(findCli(), [...flags, `-instance=${newInstance()}`], CLSACT);
    assert.equal(done.code, 1);
    assert.match(done.stderr, /"eth1" is controlled by instance/u);
    assert.equal(await isOpen(host, BLOCKED), false);
  });

  test('that only learns where the first one enforces takes nothing from it', async (context) => {
    await start(context, newInstance(), flags);
    const second = await start(context, newInstance(), ['-iface=eth1', '-eface=eth0', '-cidr=203.0.113.1']);
    assert.equal(await isOpen(host, BLOCKED), false);
    assert.equal(await isOpen(host, ALLOWED_ADDRESS), true);
    assert.equal(await isOpen(host, RESOLVERS[0].v4), false, 'the second one refuses on eth0');
    second.process.kill('SIGTERM');
    await second.process.exited;
    assert.equal(await isOpen(host, BLOCKED), false, 'the first one is still there');
  });

  test('of the same instance in another network namespace: exit 1, the first one untouched', async (context) => {
    const { process, instance } = await start(context, newInstance(), flags);
    await kill(process);
    const words = ['-iface=eth0', '-eface=eth0', '-cidr=203.0.113.1', `-instance=${instance}`];
    const done = await lab.dns.runAsync(findCli(), words, CLSACT);
    assert.equal(done.code, 1, done.stderr);
    assert.match(done.stderr, /in force in another network namespace/u);
    assert.equal(await isOpen(host, BLOCKED), false);
  });
});

const INSTANTS = 15;

test(`kill -9 at ${INSTANTS} instants of a start: status is truthful, clean leaves nothing`, async (context) => {
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  for (let round = 0; round < INSTANTS; round++) {
    const when = `killed after ${100 + round * 20} ms`;
    const process = host.spawn(findCli(), [...FLAGS, `-instance=${instance}`], CLSACT);
    await pause(100 + round * 20);
    await kill(process);
    const { code, stdout } = await l7egg(host, 'status', `-instance=${instance}`);
    assert.equal(await isOpen(host, BLOCKED), code !== 0, `${when}: status ${code}\n${stdout}`);
    assert.equal((await l7egg(host, 'clean', `-instance=${instance}`)).code, 0, when);
    assert.deepEqual(await chains(host), [], when);
    assert.deepEqual(filesOf(instance), [], when);
    await until(async () => isOpen(host, BLOCKED), { limitMs: LIMIT_MS, what: 'an open host' });
  }
});

test('L7EGG_ATTACH with another word is exit 2 that quotes it', async () => {
  const env = { L7EGG_ATTACH: 'xdp' };
  const done = await host.runAsync(findCli(), [...FLAGS, `-instance=${newInstance()}`], { env });
  assert.equal(done.code, 2);
  assert.match(done.stderr, /^l7egg-cli: .*"xdp".*tcx or clsact.*\n$/u);
});
