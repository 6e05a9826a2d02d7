/*
 * Too few descriptors, too little memory, a full disk: what is in force stays, what can't be done is said, and when
 * there is room again it is done. The lab is that of robust-lab.ts, the traffic that of invariants.ts.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, type TestContext, test } from 'node:test';
import { findCli } from '../lab/checkout.ts';
import type { Namespace } from '../lab/namespace.ts';
import type { Process } from '../lab/process.ts';
import { type Lab, RESOLVERS } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import {
  ANY_NAME,
  assertNothingLeft,
  assertTruthful,
  ECHO,
  isReached,
  type Judged,
  noteKernel,
  type Prober,
  startAnyName,
  startProber,
} from './invariants.ts';
import { makeDirectory, policyText, replaceFile } from './reload-lab.ts';
import { BLOCKED, chains, createRobustLab, filesOf, l7egg, newInstance } from './robust-lab.ts';

const LIMIT_MS = 15_000;
const ADDED = '198.51.100.31';
const RUN_ROOT = '/run/l7egg';
/** From too few for node to enough. */
const DESCRIPTORS = [12, 20, 26, 32, 40, 48, 56, 64, 96, 256];
const MEMORY = '/sys/fs/cgroup/memory';

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
  await startAnyName(lab);
});
after(() => lab.close());

/** An enforcer by a policy file, as a command line that can be started in many ways. */
interface Started {
  readonly instance: string;
  readonly file: string;
  readonly words: readonly string[];
}

const text = (...cidrs: readonly string[]) =>
  policyText(['{name: named, suffixes: [.ok.example]}', `{name: listed, cidrs: [${cidrs.join(', ')}]}`]);

function prepare(context: TestContext): Started {
  const instance = newInstance();
  const file = `${makeDirectory(host)}/policy.yaml`;
  writeFileSync(file, text(ECHO));
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const resolvers = `-resolver=${RESOLVERS[0].v4},${ANY_NAME.v4}`;
  const words = [
    findCli(),
    '-iface=eth0',
    '-eface=eth0',
    `-policy=${file}`,
    resolvers,
    `-instance=${instance}`,
  ];
  return { instance, file, words };
}

async function startAs(words: readonly string[]): Promise<Process> {
  const [program = '', ...args] = words;
  const process = host.spawn(program, args);
  await process.waitForLine(/^enforcing/u, LIMIT_MS);
  return process;
}

async function traffic(instance: string): Promise<{ prober: Prober; judged: Judged }> {
  const prober = await startProber(host, { nonce: instance });
  await prober.strict();
  return { prober, judged: { host, instance, place: host, hooks: await chains(host) } };
}

function addEth8(context: TestContext): void {
  host.must('ip', ['link', 'add', 'eth8', 'type', 'veth', 'peer', 'name', 'eth8p']);
  context.after(() => host.run('ip', ['link', 'del', 'eth8']));
}

const reload = (instance: string) => l7egg(host, 'reload', `-instance=${instance}`);

/** There is room again: a reload is taken over, the traffic noticed nothing, stop leaves nothing. */
async function assertRecovers({ instance }: Started, judged: Judged, prober: Prober, context: TestContext) {
  const { code, stderr } = await reload(instance);
  assert.equal(code, 0, stderr);
  assert.equal(await isReached(host, ADDED), true, 'the new policy is in force');
  await assertTruthful(judged, 'at the end');
  const report = await prober.finish(10);
  const noted = noteKernel(instance);
  assert.equal((await l7egg(host, 'stop', `-instance=${instance}`)).code, 0);
  await assertNothingLeft(judged, noted, 'after stop');
  context.diagnostic(`limits: ${JSON.stringify(report)}`);
}

describe('descriptors', () => {
  test(`a start with ${DESCRIPTORS.join(', ')} of them: enforces, or says what failed and leaves nothing`, async (context) => {
    const found = new Set<string>();
    for (const limit of DESCRIPTORS) {
      const { instance, words } = prepare(context);
      const started = host.spawn('prlimit', [`--nofile=${limit}`, ...words]);
      const enforcing = started.waitForLine(/^enforcing/u, LIMIT_MS).then(
        () => 'enforces',
        () => 'failed',
      );
      const how = await Promise.race([enforcing, started.exited.then(() => 'failed')]);
      found.add(how);
      const { code } = await l7egg(host, 'status', `-instance=${instance}`);
      assert.equal(code, how === 'enforces' ? 0 : 3, `${limit} descriptors: ${how}\n${started.tail()}`);
      assert.equal(await isReached(host, BLOCKED), how !== 'enforces', `${limit} descriptors: ${how}`);
      started.kill('SIGTERM');
      await started.exited;
      assert.deepEqual(filesOf(instance), [], `${limit} descriptors: ${how}\n${started.tail()}`);
      assert.deepEqual(await chains(host), [], `${limit} descriptors: ${how}\n${started.tail()}`);
    }
    assert.deepEqual([...found], ['failed', 'enforces']);
  });

  test('a start over what is in force with too few: it stays, the next start takes over', async (context) => {
    const started = prepare(context);
    const first = await startAs(started.words);
    const { judged, prober } = await traffic(started.instance);
    first.kill('SIGKILL');
    await first.exited;
    for (const limit of DESCRIPTORS.slice(1, 6)) {
      const next = host.spawn('prlimit', [`--nofile=${limit}`, ...started.words]);
      const settled = next.waitForLine(/^enforcing/u, LIMIT_MS).catch(() => {});
      await Promise.race([settled, next.exited]);
      await assertTruthful(judged, `${limit} descriptors\n${next.tail()}`);
      next.kill('SIGKILL');
      await next.exited;
    }
    replaceFile(started.file, text(ECHO, ADDED));
    await startAs(started.words);
    await assertRecovers(started, judged, prober, context);
  });

  test('none left while it runs: what is in force stays, it lives; once there are, it takes a reload and what came', async (context) => {
    const started = prepare(context);
    const enforcer = await startAs([...started.words, '-eface=eth8', '-wait']);
    const { judged, prober } = await traffic(started.instance);
    const limit = (count: number) =>
      host.must('prlimit', ['--pid', `${enforcer.pid}`, `--nofile=${count}:8192`]);
    limit(8192);
    limit(8);
    replaceFile(started.file, text(ECHO, ADDED));
    const { code } = await l7egg(host, 'status', `-instance=${started.instance}`);
    assert.equal(code, 0);
    enforcer.kill('SIGHUP');
    await enforcer.waitForLine(/NOT reloaded/u, LIMIT_MS);
    await assertTruthful(judged, 'without descriptors');
    assert.equal(await isReached(host, ADDED), false, 'the old policy is in force');
    addEth8(context);
    await enforcer.waitForLine(/NOT followed.*EMFILE/u, LIMIT_MS);
    assert.equal(enforcer.exit, undefined, enforcer.tail());
    limit(8192);
    await enforcer.waitForLine(/"eth8" is there: attached/u, LIMIT_MS);
    host.must('ip', ['link', 'del', 'eth8']);
    await enforcer.waitForLine(/"eth8" is gone/u, LIMIT_MS);
    await assertRecovers(started, judged, prober, context);
  });
});

describe('disk', () => {
  /** Makes the place of run directories a tmpfs of the lab's own; answers how to fill and to empty it. */
  function mountSmall(context: TestContext): { fill: () => void; empty: () => void } {
    host.must('sh', ['-c', `mkdir -p ${RUN_ROOT} && mount -t tmpfs -o size=128k small ${RUN_ROOT}`]);
    context.after(() => host.run('umount', ['--lazy', RUN_ROOT]));
    return {
      fill: () => host.run('sh', ['-c', `cat /dev/zero >${RUN_ROOT}/.full`]),
      empty: () => host.must('rm', ['-f', `${RUN_ROOT}/.full`]),
    };
  }

  test('full at the start: exit 1 that says so, and nothing is left', async (context) => {
    const { fill, empty } = mountSmall(context);
    const { instance, words } = prepare(context);
    fill();
    const [program = '', ...args] = words;
    const done = await host.runAsync(program, args);
    assert.equal(done.code, 1, done.stderr);
    assert.match(done.stderr, /ENOSPC|no space/u);
    assert.deepEqual(filesOf(instance), []);
    assert.deepEqual(await chains(host), []);
    assert.equal(await isReached(host, BLOCKED), true);
    empty();
    await startAs(words);
    assert.equal(await isReached(host, BLOCKED), false);
  });

  test('full while it runs: no reload, interfaces are followed all the same; then the reload', async (context) => {
    const { fill, empty } = mountSmall(context);
    const started = prepare(context);
    const enforcer = await startAs([...started.words, '-eface=eth8', '-wait']);
    const { judged, prober } = await traffic(started.instance);
    fill();
    replaceFile(started.file, text(ECHO, ADDED));
    enforcer.kill('SIGHUP');
    await enforcer.waitForLine(/NOT reloaded/u, LIMIT_MS);
    assert.equal(await isReached(host, ADDED), false, 'the old policy is in force');
    await assertTruthful(judged, 'with a full disk');
    addEth8(context);
    await enforcer.waitForLine(/"eth8" is there: attached/u, LIMIT_MS);
    await until(async () => (await chains(host)).some((line) => line.startsWith('eth8 egress l7egg')), {
      limitMs: LIMIT_MS,
      what: 'eth8 to be controlled',
    });
    host.must('ip', ['link', 'del', 'eth8']);
    await enforcer.waitForLine(/"eth8" is gone/u, LIMIT_MS);
    assert.equal(enforcer.exit, undefined, enforcer.tail());
    empty();
    await assertRecovers(started, judged, prober, context);
  });

  for (const { redirect, code } of [
    { redirect: '>/dev/full', code: 1 },
    { redirect: '2>/dev/full', code: 0 },
    { redirect: '>/dev/full 2>&1', code: 1 },
  ]) {
    test(`full where it writes to, ${redirect}: it enforces on, and ends with ${code}`, async (context) => {
      const started = prepare(context);
      const process = host.spawn('sh', ['-c', `exec "$@" ${redirect}`, 'sh', ...started.words]);
      const status = () => l7egg(host, 'status', `-instance=${started.instance}`);
      await until(async () => (await status()).code === 0, { limitMs: LIMIT_MS, what: 'status 0' });
      const { judged, prober } = await traffic(started.instance);
      replaceFile(started.file, text(ECHO, ADDED));
      await assertRecovers(started, judged, prober, context);
      assert.deepEqual(await process.exited, { code, signal: null });
    });
  }
});

describe('memory', () => {
  test('a policy that does not fit: in force is what was, killed or not, and the next start takes over', async (context) => {
    const started = prepare(context);
    const group = `${MEMORY}/${started.instance}`;
    mkdirSync(group);
    context.after(() => until(() => isRemoved(group), { limitMs: LIMIT_MS, what: `the end of ${group}` }));
    const enforcer = await startAs([
      'sh',
      '-c',
      `echo $$ >${group}/cgroup.procs && exec "$@"`,
      'sh',
      ...started.words,
    ]);
    const { judged, prober } = await traffic(started.instance);
    const usage = Number(host.must('cat', [`${group}/memory.usage_in_bytes`]));
    writeFileSync(`${group}/memory.limit_in_bytes`, `${usage + (16 << 20)}`);
    const many = Array.from(
      { length: 100_000 },
      (_, i) => `32.${i >> 15}.${(i >> 7) & 255}.${(i & 127) * 2}/32`,
    );
    replaceFile(started.file, text(ECHO, ...many));
    await Promise.race([enforcer.exited, enforcer.waitForLine(/^(?:NOT )?reloaded/u, 60_000)]);
    const status = await assertTruthful(judged, 'out of memory');
    context.diagnostic(
      `limits: memory: ${JSON.stringify(enforcer.exit)}, ${status.rules.length} rules in force`,
    );
    assert.equal(status.rules.length, 2, 'the old policy is in force');
    enforcer.kill('SIGKILL');
    await enforcer.exited;
    replaceFile(started.file, text(ECHO, ADDED));
    await startAs(started.words);
    await assertRecovers(started, judged, prober, context);
  });
});

function isRemoved(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false; // EBUSY: its last process is just ending
  }
}
