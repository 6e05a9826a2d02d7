import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { askControl } from '../../src/control/client.ts';
import { Pins } from '../../src/datapath/pins.ts';
import { STATE_MAPS, type StateMapName } from '../../src/datapath/state.ts';
import { controlPath } from '../../src/enforcer/control-path.ts';
import { BpfMap } from '../../src/libbpf/map.ts';
import { findCheckout } from '../lab/checkout.ts';
import { mustRun } from '../lab/command.ts';
import { spreadOf } from '../lab/first-packet.ts';
import type { Namespace } from '../lab/namespace.ts';

const COUNT_LIMIT_MS = 5_000;

/** Compiles a program of this folder; answers its path. */
export function compileLoad(namespace: Namespace, name: string): string {
  const program = join(namespace.directory, name);
  const source = join(findCheckout(), 'test', 'netns', `${name}.c`);
  mustRun(['clang', '-O2', '-Wall', '-Wextra', '-Werror', source, '-o', program]);
  return program;
}

/** What was measured at one moment. */
export interface Sample {
  readonly rssKb: number;
  /** Of the maps that outlive a swap. */
  readonly mapBytes: number;
  readonly answerMs: number;
  /** Of this the part in which neither it nor who asked waited for a CPU. */
  readonly ownMs: number;
}

/** Looks at a running enforcer: its memory, that of its maps, and how long it takes to answer. */
export async function sample(instance: string, pid: number): Promise<Sample> {
  const waitedMs = () => waitedForCpuMs(pid) + waitedForCpuMs(process.pid);
  const [from, waitedBefore] = [performance.now(), waitedMs()];
  const answer = await askControl(controlPath(instance), { command: 'told' });
  if (answer === undefined) throw new Error('Cannot ask the enforcer: nobody answers');
  for await (const line of answer) JSON.parse(line);
  const answerMs = performance.now() - from;
  const ownMs = Math.max(0, answerMs - (waitedMs() - waitedBefore));
  const rss = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return { rssKb: Number(rss?.[1]), answerMs, ownMs, mapBytes: mapBytes(instance) };
}

/* Of the main thread, Documentation/scheduler/sched-stats.rst. */
function waitedForCpuMs(pid: number): number {
  const [, runDelayNs] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ');
  return Number(runDelayNs) / 1e6;
}

function mapBytes(instance: string): number {
  return STATE_MAPS.reduce((sum, name) => sum + readMap(instance, name, (map) => map.memoryBytes() ?? 0), 0);
}

/** How many entries a map has. */
export function countEntries(instance: string, name: StateMapName): number {
  return readMap(instance, name, (map) => map.count(COUNT_LIMIT_MS)) ?? Number.NaN;
}

function readMap<T>(instance: string, name: StateMapName, read: (map: BpfMap) => T): T {
  const path = new Pins(instance).map(name);
  using map = BpfMap.openPinned(path);
  if (map === undefined) throw new Error(`Cannot open "${path}": no such pin`);
  return read(map);
}

/** The middle of `values` in each third of the time. */
export function thirds(values: readonly number[]): readonly [number, number, number] {
  const size = Math.ceil(values.length / 3);
  const middle = (third: number) => spreadOf(values.slice(third * size, (third + 1) * size)).p50;
  return [middle(0), middle(1), middle(2)];
}
