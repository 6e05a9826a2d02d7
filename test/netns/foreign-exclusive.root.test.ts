/*
 * Somebody else's sockops program that has its hook for itself, above the cgroup of a subject: what a flow carried
 * can't be told then, and all is judged. The lab of subject-lab.ts.
 */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Cgroup, cgroupRoot } from '../lab/cgroup.ts';
import { findCheckout } from '../lab/checkout.ts';
import { mustRun } from '../lab/command.ts';
import { RESOLVERS } from '../lab/topology.ts';
import { isRefused, passes } from './learning-lab.ts';
import { allow, mustReload, policyText, statusOf } from './reload-lab.ts';
import { l7egg, newInstance, startFor } from './robust-lab.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

const ALLOWED = '198.51.100.7';
const REFUSED = '203.0.113.7';
const SOON_MS = 2_000;
const LACKS =
  /what TCP connections of cgroup ".*" carried will not be told; does another sockops program, on it or above, have the hook for itself\? Cannot /u;

let lab: SubjectLab;
let objectPath: string;
before(async () => {
  lab = await createSubjectLab();
  objectPath = join(lab.host.directory, 'foreign.o');
  const source = join(findCheckout(), 'test', 'netns', 'foreign-sockops.bpf.c');
  const include = `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  mustRun(['clang', '-g', '-O2', '-target', 'bpf', include, '-c', source, '-o', objectPath]);
});
after(() => lab.close());

/** Attaches it with no flags: nobody may attach below. Closing it takes it off. */
function attachExclusive({ path }: Cgroup): Disposable {
  const directory = join(cgroupRoot(), path);
  const pin = `/sys/fs/bpf/${newInstance()}`;
  mustRun(['bpftool', 'prog', 'load', objectPath, pin, 'type', 'sockops']);
  mustRun(['bpftool', 'cgroup', 'attach', directory, 'sock_ops', 'pinned', pin]);
  let isAttached = true;
  return {
    [Symbol.dispose]: () => {
      if (!isAttached) return;
      isAttached = false;
      mustRun(['bpftool', 'cgroup', 'detach', directory, 'sock_ops', 'pinned', pin]);
      rmSync(pin);
    },
  };
}

test('a subject is in force without its ends, which is said once, and has them when the hook is free', async (context) => {
  const parent = lab.cgroup(newInstance());
  const cgroup = parent.below('sub');
  const foreign = attachExclusive(parent);
  context.after(() => foreign[Symbol.dispose]());
  const file = join(lab.host.directory, 'policy.yaml');
  const write = (...addresses: string[]) =>
    writeFileSync(file, policyText([allow('one', ...addresses)], [`subject: 'cgroup:${cgroup.path}'`]));
  write(ALLOWED);
  const flags = [`-policy=${file}`, `-resolver=${RESOLVERS[0].v4}`];
  const enforcer = await startFor(context, lab.host, flags);

  await passes(cgroup, ALLOWED);
  await isRefused(cgroup, REFUSED);
  const lacks = () => enforcer.remarks().filter((text) => LACKS.test(text));
  assert.equal(lacks().length, 1, enforcer.remarks().join('\n'));
  const before = await statusOf(lab.host, enforcer);
  const [lacking] = before.subjects.flatMap(({ cgroups }) => cgroups);
  assert.deepEqual([before.enforcing, lacking?.attached, lacking?.hooks.length], [true, true, 7]);
  assert.ok(!lacking?.hooks.includes('end'));
  const ask = ['check', `-instance=${enforcer.instance}`, `-subject=cgroup:${cgroup.path}`, ALLOWED];
  const checked = await l7egg(lab.host, ...ask);
  assert.equal(checked.code, 0, checked.stderr);

  write(ALLOWED, '198.51.100.8');
  await mustReload(lab.host, enforcer);
  assert.equal(lacks().length, 1, 'a reload does not say it again');

  foreign[Symbol.dispose]();
  write(ALLOWED, '198.51.100.9');
  await mustReload(lab.host, enforcer);
  const [whole] = (await statusOf(lab.host, enforcer)).subjects.flatMap(({ cgroups }) => cgroups);
  assert.equal(whole?.hooks.length, 8);
  const told = enforcer.events().length;
  await passes(cgroup, '198.51.100.9');
  await enforcer.waitForEvent(
    ({ dst, reason }) => dst === '198.51.100.9' && reason === 'ended',
    SOON_MS,
    told,
  );
  await isRefused(cgroup, REFUSED);
  await enforcer.stop();
});
