/*
 * The bpffs unmounted: before the start, while the enforcer runs, when it is dead. The lab is that of robust-lab.ts;
 * the enforcer runs in a mount and a PID namespace that stand for a host, so that the bpffs of this one is left alone.
 */
import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import type { RunResult } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { ANY_NAME, ECHO, isReached, startAnyName, startProber } from './invariants.ts';
import { ALLOWED, BLOCKED, chains, createRobustLab, FLAGS, newInstance } from './robust-lab.ts';

const LIMIT_MS = 15_000;
const BPFFS = '/sys/fs/bpf';

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  await startAnyName(lab);
});
after(() => lab.close());

/** A host of its own, but for its network: process 1 there sees the mounts that all of its processes see. */
class OtherHost {
  readonly #first: Process;
  readonly #pid: string;

  constructor(first: Process, pid: string) {
    this.#first = first;
    this.#pid = pid;
  }

  words(...words: readonly string[]): readonly string[] {
    return ['-t', this.#pid, '--mount', '--pid', '--', ...words];
  }

  run(...words: readonly string[]): Promise<RunResult> {
    return host.runAsync('nsenter', this.words(...words));
  }

  l7egg(...words: readonly string[]): Promise<RunResult> {
    return this.run(findCli(), ...words);
  }

  async mustRun(...words: readonly string[]): Promise<void> {
    const { code, stderr } = await this.run(...words);
    assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
  }

  spawn(...words: readonly string[]): Process {
    return host.spawn('nsenter', this.words(...words));
  }

  close(): Promise<unknown> {
    return this.#first.stop(50); // process 1 of a namespace does not heed SIGTERM
  }
}

/** Starts one that has a bpffs; it ends with the test. */
async function startOtherHost(context: TestContext): Promise<OtherHost> {
  const script = `umount --lazy ${BPFFS} && mount -t tmpfs run /run && mount -t bpf bpf ${BPFFS} && echo made && exec sleep infinity`;
  const first = host.spawn('unshare', ['--mount', '--pid', '--fork', '--mount-proc', 'sh', '-c', script]);
  await first.waitForLine(/^made$/u, LIMIT_MS);
  const child = host.must('pgrep', ['-P', `${first.pid}`]).trim();
  const other = new OtherHost(first, child);
  context.after(() => other.close());
  return other;
}

const flagsOf = (instance: string): readonly string[] => [
  ...FLAGS,
  `-cidr=${ECHO}`,
  `-resolver=${RESOLVERS[0].v4},${ANY_NAME.v4}`,
  `-instance=${instance}`,
];

describe('the bpffs is unmounted', () => {
  test('before the start: it is mounted again', async (context) => {
    const other = await startOtherHost(context);
    const instance = newInstance();
    await other.mustRun('umount', BPFFS);
    const enforcer = other.spawn(findCli(), ...flagsOf(instance));
    await enforcer.waitForLine(/^enforcing/u, LIMIT_MS);
    assert.equal(await isReached(host, BLOCKED), false);
    assert.equal(await isReached(host, ALLOWED), true);
    assert.equal((await other.l7egg('stop', `-instance=${instance}`)).code, 0);
    await enforcer.exited;
    assert.deepEqual(await chains(host), []);
    assert.equal(await isReached(host, BLOCKED), true);
  });

  for (const attach of ['tcx', 'clsact']) {
    test(`while it runs, ${attach}: refused, and where it is forced all stays in force, is told and can be stopped`, async (context) => {
      const other = await startOtherHost(context);
      const instance = newInstance();
      const status = () => other.l7egg('status', `-instance=${instance}`);
      const enforcer = other.spawn('env', `L7EGG_ATTACH=${attach}`, findCli(), ...flagsOf(instance));
      await enforcer.waitForLine(/^enforcing/u, LIMIT_MS);
      const hooks = await chains(host);
      const prober = await startProber(host, { nonce: instance });
      await prober.strict();
      assert.notEqual((await other.run('umount', BPFFS)).code, 0, 'busy');
      const mark = enforcer.mark();
      await other.mustRun('umount', '--lazy', BPFFS);
      await enforcer.waitForLine(/the bpffs was unmounted/u, LIMIT_MS, mark);
      const hidden = await status();
      assert.deepEqual([hidden.code, hidden.stdout], [3, '']);
      assert.match(hidden.stderr, /no bpffs is mounted/u);
      assert.deepEqual(await chains(host), hooks);
      await other.mustRun('mount', '-t', 'bpf', 'bpf', BPFFS);
      await enforcer.waitForLine(/was pinned anew/u, LIMIT_MS, mark);
      assert.equal((await status()).code, 0);
      assert.deepEqual(await chains(host), hooks);
      assert.equal((await other.l7egg('reload', `-instance=${instance}`)).code, 0);
      // What was pinned anew keeps it in force when the process is gone, and a start takes it over.
      await other.mustRun('pkill', '-KILL', '-f', `instance=${instance}`);
      await enforcer.exited;
      assert.equal((await status()).code, 0);
      const second = other.spawn('env', `L7EGG_ATTACH=${attach}`, findCli(), ...flagsOf(instance));
      await second.waitForLine(/adopted what was in force/u, LIMIT_MS);
      const report = await prober.finish(20);
      context.diagnostic(`bpffs: ${JSON.stringify(report)}`);
      await other.mustRun('umount', '--lazy', BPFFS);
      const stopped = await other.l7egg('stop', `-instance=${instance}`);
      assert.equal(stopped.code, 0, `${stopped.stderr}\n${second.tail()}`);
      await second.exited;
      assert.deepEqual(await chains(host), []);
      assert.equal(await isReached(host, BLOCKED), true);
      assert.equal((await status()).code, 3);
    });
  }

  test('read-only at the stop: the process ends and says what failed; clean does the rest once it can', async (context) => {
    const other = await startOtherHost(context);
    const instance = newInstance();
    const enforcer = other.spawn(findCli(), ...flagsOf(instance));
    await enforcer.waitForLine(/^enforcing/u, LIMIT_MS);
    await other.mustRun('mount', '-o', 'remount,ro', BPFFS);
    const stopped = await other.l7egg('stop', `-instance=${instance}`);
    assert.equal(stopped.code, 1, stopped.stderr);
    assert.match(stopped.stderr, /EROFS/u);
    assert.equal((await enforcer.exited).code, 1);
    await enforcer.waitForLine(/EROFS/u, LIMIT_MS);
    await other.mustRun('mount', '-o', 'remount,rw', BPFFS);
    assert.equal((await other.l7egg('clean', `-instance=${instance}`)).code, 0);
    assert.deepEqual(await chains(host), []);
    const second = other.spawn(findCli(), ...flagsOf(instance));
    await second.waitForLine(/^enforcing/u, LIMIT_MS);
    assert.equal(await isReached(host, BLOCKED), false);
    assert.equal((await other.l7egg('stop', `-instance=${instance}`)).code, 0);
    assert.equal(await isReached(host, BLOCKED), true);
  });

  test('when it is dead: all goes with it, which is told; the next start enforces', async (context) => {
    const other = await startOtherHost(context);
    const instance = newInstance();
    const enforcer = other.spawn(findCli(), ...flagsOf(instance));
    await enforcer.waitForLine(/^enforcing/u, LIMIT_MS);
    await other.mustRun('pkill', '-KILL', '-f', `instance=${instance}`);
    await enforcer.exited;
    assert.equal(await isReached(host, BLOCKED), false);
    await other.mustRun('umount', BPFFS);
    await until(async () => (await chains(host)).length === 0, {
      limitMs: LIMIT_MS,
      what: 'the end of its hooks',
    });
    assert.equal((await other.l7egg('status', `-instance=${instance}`)).code, 3);
    assert.equal(await isReached(host, BLOCKED), true);
    const second = other.spawn(findCli(), ...flagsOf(instance));
    await second.waitForLine(/^enforcing/u, LIMIT_MS);
    assert.equal(await isReached(host, BLOCKED), false);
    assert.equal((await other.l7egg('clean', `-instance=${instance}`)).code, 0);
    await second.exited;
    assert.deepEqual(await chains(host), []);
  });
});
