/*
 * What ends an enforcer, and what it leaves: nothing, or all. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import type { Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { compileFixture } from '../libbpf/fixture.ts';
import type { RunningEnforcer } from './enforcer.ts';
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

const LIMIT_MS = 5_000;
const object = compileFixture();

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

async function run(command: string, enforcer: RunningEnforcer): Promise<void> {
  const { code, stdout } = await l7egg(host, command, `-instance=${enforcer.instance}`);
  assert.equal(code, 0);
  assert.match(stdout, /nothing of it is in force/);
}

async function signal(name: NodeJS.Signals, { process }: RunningEnforcer): Promise<void> {
  process.kill(name);
  assert.deepEqual(await process.exited, { code: 0, signal: null });
  assert.match(process.tail(), /stopped: nothing is enforced any more/);
}

const ENDS: readonly { readonly how: string; readonly end: (enforcer: RunningEnforcer) => Promise<void> }[] =
  [
    { how: 'SIGTERM', end: (enforcer) => signal('SIGTERM', enforcer) },
    { how: 'SIGINT', end: (enforcer) => signal('SIGINT', enforcer) },
    { how: 'stop', end: (enforcer) => run('stop', enforcer) },
    { how: 'clean', end: (enforcer) => run('clean', enforcer) },
    { how: 'kill -9 and stop', end: (enforcer) => killNow(enforcer).then(() => run('stop', enforcer)) },
    { how: 'kill -9 and clean', end: (enforcer) => killNow(enforcer).then(() => run('clean', enforcer)) },
  ];

describe('opens and leaves nothing:', () => {
  for (const { how, end } of ENDS) {
    test(how, async (context) => {
      const enforcer = await startFor(context, host);
      assert.equal(await isOpen(host, BLOCKED), false);
      const programs = pinnedPrograms(enforcer.instance);
      assert.ok(programs.length >= 2, 'programs are pinned, those of interfaces at least');
      await end(enforcer);
      await enforcer.process.exited;
      assert.equal(await isOpen(host, BLOCKED), true);
      assert.deepEqual(filesOf(enforcer.instance), []);
      assert.deepEqual(await chains(host), []);
      await until(() => !programs.some(isLoaded), { limitMs: LIMIT_MS, what: 'the end of all programs' });
    });
  }
});

test('SIGUSR2 ends the process and leaves all in force, learning too', async (context) => {
  const enforcer = await startFor(context, host);
  enforcer.process.kill('SIGUSR2');
  assert.deepEqual(await enforcer.process.exited, { code: 0, signal: null });
  assert.match(enforcer.process.tail(), /stay in force/);
  assert.equal(await isOpen(host, BLOCKED), false);
  assert.equal(await isOpen(host, ALLOWED), true);
  assert.equal((await l7egg(host, 'status', `-instance=${enforcer.instance}`)).code, 0);
});

/** Packets that a program of robust-stranger.ts has seen. */
async function runsOf(stranger: Process): Promise<number> {
  const mark = stranger.mark();
  stranger.kill('SIGUSR1');
  const { text } = await stranger.waitForLine(/^runs \d+$/, LIMIT_MS, mark);
  return Number(text.slice('runs '.length));
}

/** Starts somebody else's program on eth0. */
async function attachStranger(kind: 'tcx' | 'clsact', direction: 'ingress' | 'egress'): Promise<Process> {
  const stranger = startScript(host, 'robust-stranger', object, 'eth0', direction, kind);
  await stranger.waitForLine(/^attached$/, LIMIT_MS);
  return stranger;
}

test('programs of others, attached before and after, run on while we are there and when we are gone', async (context) => {
  host.must('tc', ['qdisc', 'add', 'dev', 'eth0', 'clsact']);
  context.after(() => host.run('tc', ['qdisc', 'del', 'dev', 'eth0', 'clsact']));
  const strangers = [
    await attachStranger('tcx', 'ingress'),
    await attachStranger('tcx', 'egress'),
    await attachStranger('clsact', 'egress'),
  ];
  const enforcer = await startFor(context, host);
  strangers.push(await attachStranger('tcx', 'egress'), await attachStranger('clsact', 'ingress'));
  const others = (await chains(host)).filter((line) => !line.includes('l7egg'));
  assert.equal(others.length, strangers.length + 1, 'those of others, and the clsact qdisc');

  const whileThere = await Promise.all(strangers.map(runsOf));
  assert.equal(await isOpen(host, ALLOWED), true);
  for (const [index, stranger] of strangers.entries()) {
    assert.ok(
      (await runsOf(stranger)) > (whileThere[index] ?? 0),
      `stranger ${index} runs behind or before us`,
    );
  }

  await enforcer.stop();
  assert.deepEqual(await chains(host), others);
  const whenGone = await Promise.all(strangers.map(runsOf));
  assert.equal(await isOpen(host, OTHER), true);
  for (const [index, stranger] of strangers.entries()) {
    assert.ok((await runsOf(stranger)) > (whenGone[index] ?? 0), `stranger ${index} still runs`);
  }
  for (const stranger of strangers) await stranger.stop();
});

const INSTANTS = 12;

describe('Ctrl-C in the middle of a start', () => {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    test(`${name} at ${INSTANTS} instants: the process ends, and nothing is left`, async (context) => {
      for (let round = 0; round < INSTANTS; round++) {
        await interruptStart(context, name, round * 25);
      }
    });
  }
});

/** Sends `name` to an enforcer `delayMs` after its spawn; asserts that it ends and that nothing of it is left. */
async function interruptStart(context: TestContext, name: NodeJS.Signals, delayMs: number): Promise<void> {
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const process = host.spawn(findCli(), [...FLAGS, `-instance=${instance}`]);
  await pause(delayMs);
  process.kill(name);
  const { code } = await process.exited;
  const when = `${delayMs} ms after its start, exit code ${code}\n${process.tail()}`;
  assert.deepEqual(filesOf(instance), [], when);
  assert.deepEqual(await chains(host), [], when);
}
