/*
 * What a running enforcer has given up, and that it still can do all that it is there for. The lab is that of robust-lab.ts.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Namespace } from '../lab/namespace.ts';
import { ip, type Lab } from '../lab/topology.ts';
import { until } from '../lab/wait.ts';
import { makeCgroup, makeDirectory, policyText, replaceFile, untilReloaded } from './reload-lab.ts';
import { ALLOWED, BLOCKED, createRobustLab, isOpen, l7egg, OTHER, startFor } from './robust-lab.ts';

const LIMIT_MS = 5_000;
/** linux/capability.h: NET_ADMIN, PERFMON, BPF. */
const FOR_INTERFACES = (1n << 12n) | (1n << 38n) | (1n << 39n);
/** DAC_READ_SEARCH, KILL, SYS_PTRACE, SYS_ADMIN. */
const FOR_SUBJECTS = FOR_INTERFACES | (1n << 2n) | (1n << 5n) | (1n << 19n) | (1n << 21n);

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = await createRobustLab();
  host = lab.host;
});
after(() => lab.close());

/** A line of /proc/PID/status of one thread, as its digits. */
function read(pid: number, thread: string | number, key: string): string | undefined {
  const text = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
  return new RegExp(`^${key}:\\s+([0-9a-f]+)$`, 'mu').exec(text)?.[1];
}

/** The effective and permitted capabilities of the main thread. */
function capabilities(pid: number): bigint[] {
  return ['CapEff', 'CapPrm', 'CapInh'].map((key) => BigInt(`0x${read(pid, pid, key)}`));
}

async function untilGivenUp(pid: number): Promise<void> {
  await until(() => read(pid, pid, 'Seccomp') === '2', {
    limitMs: LIMIT_MS,
    what: 'privileges to be given up',
  });
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    assert.deepEqual([read(pid, thread, 'Seccomp'), read(pid, thread, 'NoNewPrivs')], ['2', '1'], thread);
  }
}

describe('an enforcer has given up what it does not need', () => {
  test('of flags: with the rest it reloads and stops', async (context) => {
    const enforcer = await startFor(context, host);
    const { pid } = enforcer.process;
    await untilGivenUp(pid);
    assert.deepEqual(capabilities(pid), [FOR_INTERFACES, FOR_INTERFACES, 0n]);
    assert.equal(await isOpen(host, ALLOWED), true);
    assert.equal(await isOpen(host, BLOCKED), false);
    const mark = enforcer.process.mark();
    enforcer.process.kill('SIGHUP');
    await enforcer.process.waitForLine(/^reloaded: the policy is the same$/u, LIMIT_MS, mark);
    assert.equal(await isOpen(host, OTHER), true);
    assert.equal(await isOpen(host, BLOCKED), false);
    await enforcer.stop();
    assert.equal(await isOpen(host, BLOCKED), true);
    assert.equal((await l7egg(host, 'status', `-instance=${enforcer.instance}`)).code, 3);
  });

  test('with -eface=* an interface that comes later is controlled', async (context) => {
    const enforcer = await startFor(context, host, [
      '-iface=eth0',
      '-eface=eth0',
      '-eface=*',
      '-cn=.ok.example',
    ]);
    await untilGivenUp(enforcer.process.pid);
    const mark = enforcer.process.mark();
    ip(host, ['tuntap add dev tun7 mode tun']);
    context.after(() => ip(host, ['link del tun7']));
    await enforcer.process.waitForLine(/interface "tun7" is there: attached/u, LIMIT_MS, mark);
  });

  test('of a file: a subject that comes with it later is judged', async (context) => {
    const file = join(makeDirectory(host), 'policy.yaml');
    const { path, subject } = makeCgroup(context);
    const rules = `{name: all, names: [${ALLOWED}, ${OTHER}]}`;
    writeFileSync(file, policyText([rules]));
    const enforcer = await startFor(context, host, ['-iface=eth0', '-eface=eth0', `-policy=${file}`]);
    const { pid } = enforcer.process;
    await untilGivenUp(pid);
    assert.deepEqual(capabilities(pid), [FOR_SUBJECTS, FOR_SUBJECTS, 0n]);
    const mark = enforcer.process.mark();
    const own = policyText([`{name: one, names: [${ALLOWED}]}`], [`subject: '${subject}'`]);
    replaceFile(file, [policyText([rules]), own].join('---\n'));
    await untilReloaded(enforcer, mark);
    const inside = (name: string) =>
      host.run('sh', [
        '-c',
        `echo $$ > ${path}/cgroup.procs; exec curl -sS -m 3 -o /dev/null http://${name}/`,
      ]).code;
    assert.equal(inside(ALLOWED), 0);
    assert.equal(inside(OTHER), 7);
    assert.equal(await isOpen(host, OTHER), true);
  });
});
