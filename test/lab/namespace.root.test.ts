/*
 * Namespaces and the programs in them; no topology. Needs root.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { mustRun } from './command.ts';
import { createNamespace } from './namespace.ts';
import { hasEnded } from './process.ts';
import { sweepDeadLabs } from './sweep.ts';
import { traces } from './traces.ts';
import { until } from './wait.ts';

/** A process that brings up one of everything, tells the pids, and waits to be killed. */
const VICTIM = `
  const [topology, resolvers, servers] = await Promise.all(
    ['topology', 'resolvers', 'servers'].map((name) => import(${JSON.stringify(import.meta.dirname)} + '/' + name + '.js')),
  );
  const lab = topology.createLab();
  const at = (index) => ({ addresses: [topology.RESOLVERS[index].v4], records: [] });
  const upstream = { address: topology.RESOLVERS[0].v4, port: 53 };
  const programs = [
    await servers.startWeb(lab.web),
    await servers.startTcpEcho(lab.web),
    ...(await servers.startUdpEcho(lab.web)),
    (await resolvers.startDnsmasq(lab.dns, at(0))).process,
    (await resolvers.startUnbound(lab.dns, at(1))).process,
    (await resolvers.startBind(lab.dns, at(2))).process,
    (await resolvers.startDnsmasqForwarder(lab.host, upstream)).process,
    (await resolvers.startUnboundForwarder(lab.host, upstream, { addresses: ['127.0.0.2'] })).process,
  ];
  console.log(JSON.stringify(programs.map((program) => program.pid)));
`;

describe('Namespace', () => {
  test('run reports exit code, output and signal', () => {
    using namespace = createNamespace('run');
    const done = namespace.run('sh', ['-c', 'cat; echo oops >&2; exit 7'], { input: 'in' });
    assert.deepEqual([done.code, done.stdout, done.stderr], [7, 'in', 'oops\n']);
    assert.equal(namespace.run('sh', ['-c', 'kill -9 $$']).code, 137);
  });
  test('run and runAsync end a command at its limit', async () => {
    using namespace = createNamespace('limit');
    assert.equal(namespace.run('sleep', ['60'], { timeoutMs: 50 }).code, 124);
    assert.equal((await namespace.runAsync('sleep', ['60'], { timeoutMs: 50 })).code, 124);
  });
  test('bpffs and the working directory stay those of the caller', () => {
    using namespace = createNamespace('view');
    assert.equal(namespace.must('pwd', []).trim(), process.cwd());
    assert.equal(namespace.must('stat', ['-fc%T', '/sys/fs/bpf']), mustRun(['stat', '-fc%T', '/sys/fs/bpf']));
  });
  test('waitForLine finds a line of either stream, after a mark too, and tells of an early end', async () => {
    using namespace = createNamespace('lines');
    const more = `trap 'kill $!; echo one more; exit 3' USR1; echo one; echo two >&2; sleep 60 & wait`;
    const program = namespace.spawn('sh', ['-c', more]);
    assert.equal((await program.waitForLine(/two/, 2_000)).stream, 'stderr');
    assert.equal((await program.waitForLine(/one/, 2_000)).text, 'one');
    const mark = program.mark();
    program.kill('SIGUSR1');
    assert.equal((await program.waitForLine(/one/, 2_000, mark)).text, 'one more');
    await assert.rejects(program.waitForLine(/three/, 2_000), /it ended first/);
    assert.deepEqual(await program.exited, { code: 3, signal: null });
  });
  test('stop ends a process that ignores SIGTERM', async () => {
    using namespace = createNamespace('stop');
    const program = namespace.spawn('sh', ['-c', 'trap "" TERM; echo up; while :; do sleep 1; done']);
    await program.waitForLine(/up/, 2_000);
    assert.equal((await program.stop(100)).signal, 'SIGKILL');
  });
  test('close ends its programs and their children', async () => {
    const namespace = createNamespace('close');
    const program = namespace.spawn('sh', ['-c', 'sleep 3601 & echo $!; wait']);
    const child = (await program.waitForLine(/^\d+$/, 2_000)).text;
    namespace.close();
    await until(() => hasEnded(Number(child)), { limitMs: 2_000, what: 'the end of the child' });
    assert.deepEqual(traces(), []);
  });
});

test('programs of a lab that is killed die with it, and the next lab sweeps up', async () => {
  const victim = spawn(process.execPath, ['--input-type=module', '-e', VICTIM], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [pids] = await once(victim.stdout, 'data');
  victim.kill('SIGKILL');
  await once(victim, 'close');
  const programs: readonly number[] = JSON.parse(`${pids}`);
  assert.equal(programs.length, 9);
  await until(() => programs.every(hasEnded), { limitMs: 2_000, what: `the end of ${programs}` });
  assert.notDeepEqual(traces(victim.pid), []);
  sweepDeadLabs();
  assert.deepEqual(traces(victim.pid), []);
});

test('until gives up at its limit', async () => {
  await assert.rejects(
    until(() => false, { limitMs: 10, what: 'rain' }),
    /Cannot wait for rain: not there after 10 ms/,
  );
});
