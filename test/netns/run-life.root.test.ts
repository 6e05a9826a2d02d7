/*
 * How a run ends, and that nothing of it is left then: by itself, by signals at any time, by a kill. The lab is that of
 * run-lab.ts.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { findCli } from '../lab/checkout.ts';
import { curl } from '../lab/clients.ts';
import { hasEnded, type Process } from '../lab/process.ts';
import { until } from '../lab/wait.ts';
import { newInstance } from './robust-lab.ts';
import { createRunLab, NO, NO_ADDRESS, OK, OK_ADDRESS, type RunLab } from './run-lab.ts';

const FLAGS = [`-name=${OK}`, `-cidr=${OK_ADDRESS.v4}`];
const LIMIT_MS = 10_000;
const SIGNALS = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
  ['SIGQUIT', 131],
] as const;

describe('the life of a run', () => {
  let lab: RunLab;
  before(async () => {
    lab = await createRunLab();
  });
  after(() => lab.close());

  /* A command that says its pid, and does `act` then. */
  async function running(
    context: TestContext,
    act: string,
    instance = newInstance(),
  ): Promise<{ run: Process; instance: string; pid: number }> {
    const { process: run } = lab.start(FLAGS, ['sh', '-c', `echo up $$; ${act}`], instance);
    context.after(() => run.stop());
    const { text } = await run.waitForLine(/^up \d+$/u, LIMIT_MS);
    return { run, instance, pid: Number(text.slice(3)) };
  }

  async function endsWith(run: Process, code: number): Promise<void> {
    const ended = await Promise.race([run.exited, pause(LIMIT_MS)]);
    assert.deepEqual(ended, { code, signal: null }, run.tail());
  }

  test('an end by itself leaves nothing, also where it failed or was blocked', async () => {
    for (const command of [['true'], ['false'], ['/no/such'], ['curl', '-s', `http://${NO}/`]]) {
      const instance = newInstance();
      await lab.run([`-instance=${instance}`, ...FLAGS], command);
      lab.hasLeftNothing(instance);
    }
    assert.equal(lab.base.host.must('tc', ['filter', 'show', 'dev', 'eth0', 'egress']), '');
  });

  test("reload is refused and disturbs nothing: signals are the command's", async (context) => {
    const { run, instance } = await running(context, 'sleep 30');
    const done = await lab.base.host.runAsync(findCli(), ['reload', `-instance=${instance}`]);
    assert.equal(done.code, 2);
    assert.equal(
      done.stderr,
      `l7egg-cli: instance "${instance}" is a command's under run: its policy stays until the command ends\n`,
    );
    assert.equal(hasEnded(run.pid), false);
    run.kill('SIGTERM');
    await endsWith(run, 143);
  });

  test('a start that fails leaves nothing', async () => {
    const instance = newInstance();
    const ran = await lab.run([`-instance=${instance}`, '-policy=/no/file'], ['true']);
    assert.equal(ran.code, 2);
    lab.hasLeftNothing(instance);
  });

  for (const [signal, code] of SIGNALS) {
    test(`${signal} reaches the command, and the run ends with ${code}`, async (context) => {
      const { run, instance, pid } = await running(context, 'exec sleep 100');
      run.kill(signal);
      await endsWith(run, code);
      assert.ok(hasEnded(pid));
      lab.hasLeftNothing(instance);
    });
    test(`${signal} is for the command to answer`, async (context) => {
      const word = signal.slice(3);
      const act = `trap 'echo got it; exit 5' ${word}; while :; do sleep 0.05; done`;
      const { run, instance } = await running(context, act);
      run.kill(signal);
      await run.waitForLine(/^got it$/u, LIMIT_MS);
      await endsWith(run, 5);
      lab.hasLeftNothing(instance);
    });
  }

  test('a command that ignores SIGTERM goes on, still confined; SIGKILL of it ends the run', async (context) => {
    const act = `trap '' TERM; while :; do sleep 0.05; curl -s -m 2 http://${NO_ADDRESS.v4}/ || echo refused; done`;
    const { run, instance, pid } = await running(context, act);
    run.kill('SIGTERM');
    await run.waitForLine(/^refused$/u, LIMIT_MS, run.mark());
    assert.equal(run.exit, undefined);
    process.kill(pid, 'SIGKILL');
    await endsWith(run, 137);
    lab.hasLeftNothing(instance);
  });

  /* From before the first line of ours to long after the start; what is signalled is the one process. */
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    test(`${signal} at any moment of the start and of the end leaves nothing`, async () => {
      for (let delayMs = 40; delayMs < 340; delayMs += 15) {
        const { process: run, instance } = lab.start(FLAGS, ['sleep', '0.05']);
        await pause(delayMs);
        run.kill(signal);
        const { code, signal: by } = await run.exited;
        const isEnded =
          by === signal || code === 0 || code === 128 + { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 }[signal];
        assert.ok(isEnded, `after ${delayMs} ms: ${code} ${by}\n${run.tail()}`);
        lab.hasLeftNothing(instance);
      }
    });
  }

  test('many signals at the end leave nothing', async (context) => {
    const { run, instance } = await running(
      context,
      "trap '' INT; (trap '' INT; sleep 60) & sleep 0.2; exit 0",
    );
    const storm = setInterval(() => run.kill('SIGINT'), 1);
    context.after(() => clearInterval(storm));
    const { code } = await run.exited;
    assert.equal(code, 0, run.tail());
    lab.hasLeftNothing(instance);
  });

  test('what the command left running is ended, and said', async (context) => {
    const { run, instance } = await running(context, 'setsid sleep 200 & sleep 201 & sleep 0.1; exit 0');
    await endsWith(run, 0);
    assert.match(run.tail(), /l7egg-cli: run: ended what the command left running: sleep, sleep$/mu);
    lab.hasLeftNothing(instance);
  });

  test('kill -9 ends the command too; the next run sweeps what is left', async (context) => {
    const { run, instance, pid } = await running(context, 'exec sleep 100');
    run.kill('SIGKILL');
    await run.exited;
    await until(() => hasEnded(pid), { limitMs: 2_000, what: 'the end of the command' });
    assert.equal(lab.tracesOf(instance).length, 3);
    assert.equal((await lab.run(FLAGS, ['true'])).code, 0);
    lab.hasLeftNothing(instance);
  });

  test('the same instance starts anew after a kill -9', async (context) => {
    const { run, instance } = await running(context, 'exec sleep 100');
    run.kill('SIGKILL');
    await run.exited;
    await until(
      () => /populated 0/u.test(readFileSync(join(lab.cgroupOf(instance), 'cgroup.events'), 'utf8')),
      {
        limitMs: 2_000,
        what: 'the end of the command',
      },
    );
    const ran = await lab.run([`-instance=${instance}`, ...FLAGS], ['curl', '-sS', '-4', `http://${OK}/`]);
    assert.deepEqual([ran.code, ran.stdout], [0, `hello from ${OK_ADDRESS.v4}\n`]);
    lab.hasLeftNothing(instance);
  });

  /* l7egg-confine ends all when l7egg-cli is killed: here it is killed as well, as by kill -9 of the whole group. */
  async function orphan(context: TestContext): Promise<{ instance: string; file: string; pid: number }> {
    const file = join(lab.base.host.directory, `orphan-${newInstance()}`);
    const loop = `for a in ${OK_ADDRESS.v4} ${NO_ADDRESS.v4}; do curl -s -m 2 -o /dev/null http://$a/; echo $a $? >>${file}; done`;
    const { run, instance } = await running(
      context,
      `setsid sh -c 'echo $$ >${file}.pid; while :; do ${loop}; sleep 0.05; done' >/dev/null 2>&1 & exec sleep 100`,
    );
    await until(() => existsSync(file), { limitMs: LIMIT_MS, what: 'the loop' });
    const launcher = Number(
      readFileSync(`/proc/${run.pid}/task/${run.pid}/children`, 'utf8').trim().split(' ')[0],
    );
    process.kill(run.pid, 'SIGSTOP'); // so that neither sees the other's end first
    process.kill(launcher, 'SIGKILL');
    run.kill('SIGKILL');
    await run.exited;
    return { instance, file, pid: Number(readFileSync(`${file}.pid`, 'utf8')) };
  }

  const passes = (file: string) => readFileSync(file, 'utf8').trim().split('\n').slice(-6);

  test('what survives a kill -9 stays judged, and no other run sweeps that', async (context) => {
    const { instance, file, pid } = await orphan(context);
    const isJudged = async () => {
      const seen = readFileSync(file, 'utf8').length;
      await until(() => readFileSync(file, 'utf8').length > seen + 100, {
        limitMs: LIMIT_MS,
        what: 'more tries',
      });
      assert.deepEqual([...new Set(passes(file))].sort(), [`${OK_ADDRESS.v4} 0`, `${NO_ADDRESS.v4} 7`]);
    };
    await isJudged();
    assert.equal((await lab.run(FLAGS, ['true'])).code, 0);
    assert.equal(lab.tracesOf(instance).length, 3, 'as long as something is in it');
    await isJudged();
    const again = await lab.run([`-instance=${instance}`, ...FLAGS], ['true']);
    assert.equal(again.code, 1, again.stderr);
    assert.ok(!hasEnded(pid));
    const cleaned = await lab.base.a.runAsync(findCli(), ['clean', `-instance=${instance}`]);
    assert.equal(cleaned.code, 0, cleaned.stderr);
    assert.ok(hasEnded(pid), 'ended, not let loose');
    assert.deepEqual([...new Set(passes(file))].sort(), [`${OK_ADDRESS.v4} 0`, `${NO_ADDRESS.v4} 7`]);
    lab.hasLeftNothing(instance);
  });

  test('when the last survivor has ended, the next run sweeps', async (context) => {
    const { instance, pid } = await orphan(context);
    process.kill(pid, 'SIGKILL');
    await until(
      () => /populated 0/u.test(readFileSync(join(lab.cgroupOf(instance), 'cgroup.events'), 'utf8')),
      {
        limitMs: LIMIT_MS,
        what: 'its end',
      },
    );
    assert.equal((await lab.run(FLAGS, ['true'])).code, 0);
    lab.hasLeftNothing(instance);
  });

  test('clean ends a run that goes on, and leaves nothing', async (context) => {
    const { run, instance, pid } = await running(context, 'exec sleep 100');
    const cleaned = await lab.base.a.runAsync(findCli(), ['clean', `-instance=${instance}`]);
    assert.equal(cleaned.code, 0, cleaned.stderr);
    assert.ok(hasEnded(pid));
    await endsWith(run, 143);
    lab.hasLeftNothing(instance);
  });

  test('a kill -9 at any moment of the start is swept by the next run', async () => {
    for (let delayMs = 40; delayMs < 300; delayMs += 20) {
      // Under the name that it gives itself: before there is a record, the name is all that tells.
      const run = lab.base.a.spawn(findCli(), lab.words(FLAGS, ['sleep', '100']));
      await pause(delayMs);
      run.kill('SIGKILL');
      await run.exited;
      const instance = `run-${run.pid}`;
      const cgroup = join(lab.cgroupOf(instance), 'cgroup.events');
      await until(() => !existsSync(cgroup) || /populated 0/u.test(readFileSync(cgroup, 'utf8')), {
        limitMs: 2_000,
        what: 'the end of what it had started',
      });
      assert.equal((await lab.run(FLAGS, ['true'])).code, 0);
      lab.hasLeftNothing(instance);
    }
  });

  test('who runs beside it is not judged', async (context) => {
    await running(context, 'exec sleep 100');
    assert.equal((await curl(lab.base.a, `http://${NO}/`)).exitCode, 0);
    assert.equal((await curl(lab.base.host, `http://${NO}/`)).exitCode, 0);
  });
});
