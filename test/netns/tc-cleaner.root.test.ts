/*
 * tools/tc-cleaner.sh after a real enforcer. The lab is that of robust-lab.ts, with programs of others on eth0.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findCheckout, findCli } from '../lab/checkout.ts';
import type { RunResult } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { compileFixture } from '../libbpf/fixture.ts';
import {
  ALLOWED,
  BLOCKED,
  chains,
  createRobustLab,
  FLAGS,
  filesOf,
  isLoaded,
  isOpen,
  l7egg,
  newInstance,
  pinnedPrograms,
  startScript,
} from './robust-lab.ts';

const LIMIT_MS = 10_000;
const INTERFACES = ['-iface=eth0', '-eface=eth0'];
const CLEANER = join(findCheckout(), 'tools', 'tc-cleaner.sh');
const object = compileFixture();

let lab: Lab;
let host: Namespace;
let others: readonly string[];

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  host.must('tc', ['qdisc', 'add', 'dev', 'eth0', 'clsact']);
  for (const kind of ['tcx', 'clsact']) {
    const stranger = startScript(host, 'robust-stranger', object, 'eth0', 'egress', kind);
    await stranger.waitForLine(/^attached$/, LIMIT_MS);
  }
  others = await chains(host);
});
after(() => lab.close());

async function start(
  context: { after(act: () => unknown): void },
  attach: string,
  more: readonly string[] = [],
): Promise<{ process: Process; instance: string }> {
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const env = { L7EGG_ATTACH: attach };
  const process = host.spawn(findCli(), [...FLAGS, ...more, `-instance=${instance}`], { env });
  await process.waitForLine(/^enforcing/, LIMIT_MS);
  return { process, instance };
}

function clean(...args: readonly string[]): Promise<RunResult> {
  return host.runAsync(CLEANER, args);
}

async function assertOnlyOthers(instance: string): Promise<void> {
  // The kernel ends an unpinned link a moment after its last reference.
  await until(async () => (await chains(host)).join() === others.join(), {
    limitMs: LIMIT_MS,
    what: 'the end of our programs',
  });
  assert.deepEqual(filesOf(instance), []);
  assert.equal(await isOpen(host, BLOCKED), true);
}

for (const attach of ['tcx', 'clsact']) {
  describe(`of an enforcer on ${attach}`, () => {
    test('that was killed: all is removed, what is of others stays, and it says what it did', async (context) => {
      const { process, instance } = await start(context, attach);
      const programs = pinnedPrograms(instance);
      process.kill('SIGKILL');
      await process.exited;
      assert.equal(await isOpen(host, BLOCKED), false);
      const done = await clean(...INTERFACES);
      assert.equal(done.code, 0, done.stderr);
      assert.equal(done.stderr, '');
      assert.match(done.stdout, new RegExp(`removed .*${instance}`, 'u'));
      await assertOnlyOthers(instance);
      await until(() => !programs.some(isLoaded), { limitMs: LIMIT_MS, what: 'the end of all programs' });
    });

    test('that lives: refused with exit 1 and its process, all stays; with -force all goes', async (context) => {
      const { process, instance } = await start(context, attach);
      const done = await clean(...INTERFACES);
      assert.equal(done.code, 1);
      assert.match(done.stderr, new RegExp(`^tc-cleaner: .*"${instance}".*${process.pid}.*-force.*\n$`, 'u'));
      assert.equal(process.exit, undefined);
      assert.equal(await isOpen(host, BLOCKED), false);
      assert.equal(await isOpen(host, ALLOWED), true);
      const forced = await clean(...INTERFACES, '-force');
      assert.equal(forced.code, 0, forced.stderr);
      assert.deepEqual(await process.exited, { code: null, signal: 'SIGKILL' });
      await assertOnlyOthers(instance);
    });
  });
}

test("rates are taken away, with the kernel's own queue back", async (context) => {
  const queue = () => host.must('tc', ['qdisc', 'show', 'dev', 'eth0', 'root']).replace(/ refcnt.*/su, '');
  const before = queue();
  const { process } = await start(context, 'tcx', ['-rate=100mbit']);
  assert.match(queue(), /^qdisc htb 17e9: root/u);
  process.kill('SIGKILL');
  await process.exited;
  const done = await clean(...INTERFACES);
  assert.deepEqual([done.code, done.stderr], [0, '']);
  assert.match(done.stdout, /removed the rates of eth0/u);
  assert.equal(queue(), before);
});

test('with nothing of ours there: exit 0 and a sentence, nothing of others is touched', async () => {
  const done = await clean(...INTERFACES);
  assert.deepEqual([done.code, done.stderr], [0, '']);
  assert.match(done.stdout, /nothing of l7egg/u);
  assert.deepEqual(await chains(host), others);
});

test('an interface that is not there: exit 2, nothing is touched', async (context) => {
  const { process } = await start(context, 'tcx');
  process.kill('SIGKILL');
  await process.exited;
  const done = await clean('-iface=eth0', '-eface=eth7');
  assert.equal(done.code, 2);
  assert.match(done.stderr, /"eth7"/u);
  assert.equal(await isOpen(host, BLOCKED), false);
});
