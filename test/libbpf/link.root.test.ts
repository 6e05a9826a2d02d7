/*
 * One network namespace, packets sent on lo. `count` is attached first, so it is last:
 *
 *   send -> [egress chain: ours ... count] -> lo
 *
 * What the others let through is counted; egress programs run within the system call that sends.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { attachCgroup, attachTcx, BpfLink, CgroupHook, hasTcx, queryTcx } from '../../src/libbpf/link.ts';
import { loadObject } from '../../src/libbpf/object.ts';
import type { BpfProgram } from '../../src/libbpf/program.ts';
import { compileFixture, mountScratchBpffs, u32 } from './fixture.ts';
import { enterScratchNetns, ip, sendOnLoopback } from './namespace.ts';

const LO = 1;
const object = await loadObject(compileFixture());
const bpffs = mountScratchBpffs();
enterScratchNetns();
const pass = object.program('pass');
const drop = object.program('drop');
const count = object.program('count');
const runs = object.map('runs');

function progIds(...programs: BpfProgram[]): number[] {
  return programs.map((program) => program.info().id);
}

function chain(): number[] {
  return queryTcx(LO, 'egress').map((attached) => attached.progId);
}

function counted(): number {
  return (runs.getPerCpu(u32(0)) ?? []).reduce((sum, value) => sum + value.readUInt32LE(), 0);
}

/** How many packets `count` saw of one that was sent. */
async function sendAndCount(): Promise<number> {
  const before = counted();
  await sendOnLoopback();
  return counted() - before;
}

test('hasTcx is true on this kernel', () => {
  assert.equal(hasTcx(), true);
});

test('attachTcx puts each program before those that were there', () => {
  using _foreign = attachTcx(drop, LO, 'egress');
  using _ours = attachTcx(pass, LO, 'egress');
  using _newest = attachTcx(count, LO, 'egress');
  assert.deepEqual(chain(), progIds(count, pass, drop));
});

test('attachTcx first sees packets that a foreign program drops', async () => {
  using _foreign = attachTcx(drop, LO, 'egress');
  using _ours = attachTcx(count, LO, 'egress');
  assert.equal(await sendAndCount(), 1);
});

test('attachTcx of a dropping program ends with its link', async () => {
  using _count = attachTcx(count, LO, 'egress');
  assert.equal(await sendAndCount(), 1);
  const link = attachTcx(drop, LO, 'egress');
  assert.equal(await sendAndCount(), 0);
  link.close();
  link.close();
  assert.equal(await sendAndCount(), 1);
});

test('attachTcx throws ENODEV for an interface that is not there', () => {
  assert.throws(() => attachTcx(pass, 4711, 'ingress'), {
    code: 'ENODEV',
    message: 'Cannot attach to ingress of interface 4711: ENODEV',
  });
});

test('queryTcx keeps the directions apart', () => {
  using _link = attachTcx(pass, LO, 'ingress');
  assert.deepEqual(chain(), []);
  assert.equal(queryTcx(LO, 'ingress')[0]?.progId, pass.info().id);
});

test('queryTcx tells the link of a program', () => {
  using link = attachTcx(pass, LO, 'ingress');
  assert.equal(queryTcx(LO, 'ingress')[0]?.linkId, link.info().id);
});

test('BpfLink.info tells the place of a tcx link', () => {
  using link = attachTcx(pass, LO, 'ingress');
  const { id, ...info } = link.info();
  assert.ok(id > 0);
  assert.deepEqual(info, { kind: 'tcx', progId: pass.info().id, ifindex: LO, direction: 'ingress' });
});

test('BpfLink.info says interface 0 when the interface is gone', () => {
  ip('link add gone0 index 77 type veth peer name gone1');
  using link = attachTcx(pass, 77, 'egress');
  ip('link delete gone0');
  const info = link.info();
  assert.equal(info.kind === 'tcx' && info.ifindex, 0);
  assert.throws(() => link.update(drop), { code: 'ENOLINK' });
});

test('BpfLink.update swaps the program and keeps its place', async () => {
  using _count = attachTcx(count, LO, 'egress');
  using ours = attachTcx(drop, LO, 'egress');
  assert.equal(await sendAndCount(), 0);
  ours.update(pass);
  assert.deepEqual(chain(), progIds(pass, count));
  assert.equal(await sendAndCount(), 1);
});

test('BpfLink.detach ends the attachment of a link that is pinned', () => {
  using link = attachTcx(pass, LO, 'egress');
  link.pin(join(bpffs, 'detached'));
  link.detach();
  assert.deepEqual(chain(), []);
});

test('BpfLink.openPinned finds a link that was closed', async () => {
  using _count = attachTcx(count, LO, 'egress');
  const path = join(bpffs, 'link');
  const link = attachTcx(drop, LO, 'egress');
  link.pin(path);
  link.close();
  assert.equal(await sendAndCount(), 0);
  using again = BpfLink.openPinned(path);
  assert.equal(again?.info().progId, drop.info().id);
  again?.detach();
  assert.equal(await sendAndCount(), 1);
});

test('BpfLink.openPinned answers undefined when nothing is pinned', () => {
  assert.equal(BpfLink.openPinned(join(bpffs, 'nothing')), undefined);
});

test('BpfLink.openPinned refuses the pin of a map', () => {
  const path = join(bpffs, 'runs');
  runs.pin(path);
  assert.throws(() => BpfLink.openPinned(path), /as a link \(it is .*map/);
});

test('attachCgroup refuses connections of the processes in the cgroup, and only while it is attached', () => {
  const cgroup = join('/sys/fs/cgroup/unified', `l7egg-test-${process.pid}`);
  mkdirSync(cgroup);
  after(() => rmdirSync(cgroup));
  const fd = openSync(cgroup, 'r');
  after(() => closeSync(fd));
  using program = object.program('refuse_connect');
  const connect = () => {
    const script = `echo $$ > ${cgroup}/cgroup.procs; exec 3<>/dev/tcp/127.0.0.1/9`;
    return spawnSync('bash', ['-c', script], { encoding: 'utf8' }).stderr;
  };
  const link = attachCgroup(program, fd, CgroupHook.inet4Connect);
  const info = link.info();
  assert.equal(info.kind === 'cgroup' && info.hook, CgroupHook.inet4Connect);
  assert.equal(info.kind === 'cgroup' && info.cgroupId, BigInt(statSync(cgroup).ino));
  assert.match(connect(), /Operation not permitted/);
  link.close();
  assert.match(connect(), /Connection refused/);
});
