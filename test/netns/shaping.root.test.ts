/*
 * -rate and shaping of policy files, set up by a real enforcer. What a rate comes to on the wire is measured in
 * test/netlink/shape*.root.test.ts. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import type { Lab } from '../lab/topology.ts';
import { ALLOWED, BLOCKED, createRobustLab, FLAGS, isOpen, l7egg, newInstance } from './robust-lab.ts';

const LIMIT_MS = 10_000;

let lab: Lab;
let host: Namespace;
const directory = mkdtempSync(join(tmpdir(), 'l7egg-shaping-'));

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => {
  lab.close();
  rmSync(directory, { recursive: true });
});

interface Started {
  readonly process: Process;
  readonly instance: string;
}

async function start(
  context: { after(act: () => unknown): void },
  flags: readonly string[],
  instance: string = newInstance(),
): Promise<Started> {
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const process = host.spawn(findCli(), [...flags, `-instance=${instance}`]);
  await process.waitForLine(/^enforcing/, LIMIT_MS);
  return { process, instance };
}

async function stop({ process }: Started): Promise<void> {
  process.kill('SIGTERM');
  assert.deepEqual(await process.exited, { code: 0, signal: null });
}

/** `htb 17e9:`, or what the kernel has there. */
function rootQueue(): string {
  return host.must('tc', ['qdisc', 'show', 'dev', 'eth0', 'root']).split(' ').slice(1, 3).join(' ');
}

/** Rate and ceil by class, as tc writes them. */
function classes(): string[] {
  return host
    .must('tc', ['class', 'show', 'dev', 'eth0'])
    .split('\n')
    .flatMap((line) => {
      const [, minor, rate, ceil] = /^class htb 17e9:(\S+) .*rate (\S+) ceil (\S+)/u.exec(line) ?? [];
      return minor === undefined || minor === 'ffff' ? [] : `${minor} ${rate} ${ceil}`;
    })
    .sort();
}

function policyFile(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe('shaping', () => {
  test('-rate and -ceil are in force, told by status, changed by a restart, gone with the stop', async (context) => {
    const before = rootQueue();
    const first = await start(context, [...FLAGS, '-rate=10mbit', '-ceil=20mbit']);
    assert.deepEqual([rootQueue(), classes()], ['htb 17e9:', ['1 10Mbit 20Mbit']]);
    const status = await l7egg(host, 'status', `-instance=${first.instance}`);
    assert.match(status.stdout, /sends at 10mbit, and up to 20mbit/u);
    assert.deepEqual([await isOpen(host, ALLOWED), await isOpen(host, BLOCKED)], [true, false]);
    first.process.kill('SIGKILL');
    await first.process.exited;
    assert.deepEqual(classes(), ['1 10Mbit 20Mbit']);
    const second = await start(context, [...FLAGS, '-rate=5mbit'], first.instance);
    assert.deepEqual(classes(), ['1 5Mbit 5Mbit']);
    await stop(second);
    assert.equal(rootQueue(), before);
  });

  test('of a policy file changes with a reload, and goes with the words', async (context) => {
    const rules = 'rules:\n- cidrs: [0.0.0.0/0]\n';
    const head = 'apiVersion: l7egg/v1\nkind: EgressPolicy\n';
    const file = policyFile('rates.yaml', `${head}shaping: {rate: 1mbit}\n${rules}`);
    const before = rootQueue();
    const started = await start(context, [...FLAGS, `-policy=${file}`]);
    assert.deepEqual(classes(), ['1 1Mbit 1Mbit']);
    const mark = started.process.mark();
    // Whoever is first takes it over: the command, or the enforcer that sees the file change.
    policyFile('rates.yaml', `${head}shaping: {rate: 2mbit, ceil: 3mbit}\n${rules}`);
    assert.equal((await l7egg(host, 'reload', `-instance=${started.instance}`)).code, 0);
    await started.process.waitForLine(/^ *- sends at 1mbit at most$/u, LIMIT_MS, mark);
    await started.process.waitForLine(/^ *\+ sends at 2mbit, and up to 3mbit/u, LIMIT_MS, mark);
    assert.deepEqual(classes(), ['1 2Mbit 3Mbit']);
    policyFile('rates.yaml', head + rules);
    assert.equal((await l7egg(host, 'reload', `-instance=${started.instance}`)).code, 0);
    assert.equal(rootQueue(), before);
    await stop(started);
  });

  test("somebody else's root qdisc is not replaced: exit 1, nothing in force; with -force it is", async (context) => {
    const own = ['dev', 'eth0', 'root', 'handle', '5:', 'tbf'];
    host.must('tc', ['qdisc', 'add', ...own, 'rate', '1gbit', 'burst', '1mb', 'latency', '50ms']);
    context.after(() => host.run('tc', ['qdisc', 'del', 'dev', 'eth0', 'root']));
    const instance = newInstance();
    const refused = await l7egg(host, ...FLAGS, '-rate=10mbit', `-instance=${instance}`);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /eth0.*tbf/u);
    assert.equal(rootQueue(), 'tbf 5:');
    assert.equal(await isOpen(host, BLOCKED), true);
    const forced = await start(context, [...FLAGS, '-rate=10mbit', '-force'], instance);
    assert.equal(rootQueue(), 'htb 17e9:');
    await stop(forced);
    assert.notEqual(rootQueue(), 'htb 17e9:');
  });

  test('a bad rate is exit 2 that quotes it', async () => {
    for (const rate of ['10', '0mbit', '10mb', '-1mbit']) {
      const refused = await l7egg(host, ...FLAGS, `-rate=${rate}`, `-instance=${newInstance()}`);
      assert.equal(refused.code, 2, refused.stderr);
      assert.ok(refused.stderr.includes(`"${rate}"`), refused.stderr);
    }
  });
});
