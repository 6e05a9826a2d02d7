/*
 * What the command itself takes: time from exec until it enforces, memory, CPU when nothing happens; next to
 * Node doing nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Scope } from '../../src/scope.ts';
import { findCli } from '../lab/checkout.ts';
import { cleanEnvironment, runCommand } from '../lab/command.ts';
import { createNamespace, type Namespace } from '../lab/namespace.ts';
import { Process } from '../lab/process.ts';
import { ip } from '../lab/topology.ts';
import type { Compiler } from './compile.ts';
import type { Report } from './report.ts';
import { median } from './statistics.ts';

const ROUNDS = 15;
const READY_LIMIT_MS = 30_000;
/** V8 collects the garbage of the start some 8 s after it. */
const SETTLE_MS = 12_000;
const IDLE_MS = 5_000;
const LIMITS = { start: 6, memory: 1.4, idlePercent: 0.1 };

/** A hundred rules of all kinds. */
const RULES = [
  ...Array.from({ length: 40 }, (_, index) => `-cn=.s${index}.example.com`),
  ...Array.from({ length: 20 }, (_, index) => `-name=exact${index}.example.org`),
  ...Array.from({ length: 10 }, (_, index) => `-name=*.p${index}.example.net`),
  ...Array.from({ length: 15 }, (_, index) => `-cidr=198.51.100.${index * 16}/28`),
  ...Array.from({ length: 15 }, (_, index) => `-cidr=203.0.113.${index}`),
];

/** Starts it in turns with Node, then looks at one that runs. */
export async function measureRunning(_compiler: Compiler, report: Report): Promise<void> {
  using scope = new Scope();
  const namespace = scope.use(createNamespace('start'));
  ip(namespace, [
    'link add eth0 type veth peer name other',
    'addr add 192.0.2.2/24 dev eth0',
    'link set eth0 up',
    'link set other up',
  ]);
  const flags = makeFlags(namespace);
  scope.defer(() => runCommand([findCli(), 'clean', flags.instance]));

  const starts: number[] = [];
  const floors: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    starts.push(await timeStart(flags.all));
    floors.push(await timeNode());
  }
  const [start, floor] = [median(starts), median(floors)];

  const enforcer = scope.use(run([findCli(), ...flags.all]));
  await enforcer.waitForLine(/^enforcing/, READY_LIMIT_MS);
  const node = scope.use(run([process.execPath, '-e', 'setInterval(() => {}, 1e9)']));
  await pause(SETTLE_MS);
  const before = cpuNs(enforcer.pid);
  await pause(IDLE_MS);
  const idlePercent = ((cpuNs(enforcer.pid) - before) / (IDLE_MS * 1e6)) * 100;
  const [memory, nodeMemory] = [residentKiB(enforcer.pid), residentKiB(node.pid)];
  await enforcer.stop();

  report.table(
    `The command with ${RULES.length} rules, next to Node ${process.versions.node} doing nothing`,
    [
      ['', 'l7egg-cli', 'node', 'ratio'],
      [
        `exec → enforcing, and node -e 0, median of ${ROUNDS} (ms)`,
        start.toFixed(0),
        floor.toFixed(0),
        (start / floor).toFixed(2),
      ],
      ['resident memory (MiB)', mebi(memory), mebi(nodeMemory), (memory / nodeMemory).toFixed(2)],
      ['CPU when idle (% of one)', idlePercent.toFixed(3), '', ''],
    ],
  );
  report.expect({
    what: 'start with 100 rules',
    value: start / floor,
    limit: LIMITS.start,
    unit: ' × node -e 0',
  });
  report.expect({
    what: 'resident memory',
    value: memory / nodeMemory,
    limit: LIMITS.memory,
    unit: ' × that of node',
  });
  report.expect({ what: 'CPU when idle', value: idlePercent, limit: LIMITS.idlePercent, unit: ' %' });
}

function makeFlags(namespace: Namespace): { instance: string; all: readonly string[] } {
  const instance = `-instance=bench-${process.pid}`;
  const where = [`-netns=${namespace.path}`, '-iface=eth0', '-eface=eth0', '-resolver=192.0.2.53'];
  return { instance, all: [...where, instance, ...RULES] };
}

async function timeStart(flags: readonly string[]): Promise<number> {
  const started = performance.now();
  const enforcer = run([findCli(), ...flags]);
  const { atMs } = await enforcer.waitForLine(/^enforcing/, READY_LIMIT_MS);
  await enforcer.stop();
  return atMs - started;
}

async function timeNode(): Promise<number> {
  const started = performance.now();
  await run([process.execPath, '-e', '0']).exited;
  return performance.now() - started;
}

function run(argv: readonly string[]): Process {
  return new Process(argv, cleanEnvironment(), argv.slice(0, 2).join(' '));
}

/** Of all its threads. */
function cpuNs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [ns] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ');
    return sum + Number(ns);
  }, 0);
}

function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

function mebi(kibi: number): string {
  return (kibi / 1024).toFixed(1);
}
