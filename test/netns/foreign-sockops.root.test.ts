/*
 * Somebody else's sockops program on the cgroup of a subject, and on the root beside an enforcer of interfaces. The lab of
 * subject-lab.ts.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { attachCgroup, type BpfLink, CgroupHook } from '../../src/libbpf/link.ts';
import type { BpfMap } from '../../src/libbpf/map.ts';
import { loadObject } from '../../src/libbpf/object.ts';
import { cgroupRoot } from '../lab/cgroup.ts';
import { findCheckout } from '../lab/checkout.ts';
import { RESOLVERS } from '../lab/topology.ts';
import { startEnforcer } from './enforcer.ts';
import { passes } from './learning-lab.ts';
import { createSubjectLab, type SubjectLab } from './subject-lab.ts';

/* enum of linux/bpf.h */
const TCP_CONNECT = 3;
const ACTIVE_ESTABLISHED = 4;
const RTT = 12;
const SOON_MS = 2_000;
const RULES = ['-cidr=198.51.100.0/24', `-resolver=${RESOLVERS[0].v4}`];

interface Foreign extends Disposable {
  readonly link: BpfLink;
  /** How often it was told of an operation. */
  count(op: number): number;
}

let lab: SubjectLab;
let objectPath: string;
before(async () => {
  lab = await createSubjectLab();
  objectPath = join(lab.host.directory, 'foreign.o');
  const source = join(findCheckout(), 'test', 'netns', 'foreign-sockops.bpf.c');
  const include = `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  execFileSync('clang', [
    '-g',
    '-O2',
    '-target',
    'bpf',
    '-Wall',
    '-Werror',
    include,
    '-c',
    source,
    '-o',
    objectPath,
  ]);
});
after(() => lab.close());

async function attachForeign(directory: string): Promise<Foreign> {
  using object = await loadObject(objectPath);
  using program = object.program('foreign');
  const told: BpfMap = object.map('told');
  const cgroup = openSync(directory, 'r');
  const link = attachCgroup(program, cgroup, CgroupHook.sockOps);
  closeSync(cgroup);
  return {
    link,
    count: (op) => {
      const key = Buffer.alloc(4);
      key.writeUInt32LE(op);
      return Number(told.get(key)?.readBigUInt64LE() ?? 0n);
    },
    [Symbol.dispose]: () => {
      link.close();
      told.close();
    },
  };
}

const places = [
  {
    what: 'the cgroup of a subject',
    directory: () => lab.a.directory,
    flags: () => [`-cgroup=${lab.a.path}`],
  },
  { what: 'the root', directory: () => cgroupRoot(), flags: () => ['-iface=eth0', '-eface=eth0'] },
];
for (const { what, directory, flags } of places) {
  for (const isFirst of [true, false]) {
    test(`on ${what}, there ${isFirst ? 'before' : 'behind'} us: it is told all, and so are we; it stays`, async () => {
      const early = isFirst ? await attachForeign(directory()) : undefined;
      const enforcer = await startEnforcer(lab.host, [...flags(), ...RULES]);
      using foreign = early ?? (await attachForeign(directory()));
      await passes(lab.a, '198.51.100.7');
      await enforcer.waitForEvent(({ dst, reason }) => dst === '198.51.100.7' && reason === 'ended', SOON_MS);
      assert.ok(foreign.count(TCP_CONNECT) >= 1);
      assert.ok(foreign.count(ACTIVE_ESTABLISHED) >= 1);
      assert.ok(foreign.count(RTT) >= 1, 'the flags that it set on the socket are in force beside ours');
      await enforcer.stop();
      const info = foreign.link.info();
      assert.ok(info.kind === 'cgroup' && info.cgroupId !== 0n);
    });
  }
}
