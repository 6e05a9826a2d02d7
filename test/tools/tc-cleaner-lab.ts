/**
 * Runs tools/tc-cleaner.sh in namespaces of its own and prints an Outcome. Started as
 * `unshare --mount --net node tc-cleaner-lab.js OBJECT PLAN`, so that all it sets up ends with it.
 *
 *     left ---- right     a veth pair; left always has a foreign tcx program on egress
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { addClsact, attachFilter } from '../../src/libbpf/clsact.ts';
import { readInterface } from '../../src/libbpf/ifindex.ts';
import { attachTcx, type Direction, queryTcx } from '../../src/libbpf/link.ts';
import { loadObject } from '../../src/libbpf/object.ts';
import { until } from '../lab/wait.ts';

/** What is there before the cleaner runs with `args`. */
export interface Plan {
  readonly args: readonly string[];
  /** tcx links, `interface direction`, pinned as those of instance `default`. */
  readonly links?: readonly string[];
  /** Programs behind clsact filters on egress of left; `made`: with the mark that the qdisc is ours. */
  readonly filters?: { readonly programs: readonly string[]; readonly made: boolean };
  /** A process whose name is ours and whose pid instance `default` has on file. */
  readonly enforcer?: boolean;
  /** Our tcx programs that must be left at the end: the kernel ends an unpinned link a moment later. */
  readonly linksLeft: number;
}

/** What the cleaner said and left. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly enforcerKilled: boolean;
  readonly foreignLinks: number;
  readonly filters: string;
  readonly qdisc: string;
  /** Instances with pins, and with state. */
  readonly pins: readonly string[];
  readonly state: readonly string[];
}

const PINS = '/sys/fs/bpf/l7egg';
const STATE = '/run/l7egg';
const LIMIT_MS = 5000;

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Cannot run "${command} ${args.join(' ')}": ${stderr}`);
  return stdout;
}

function ifindexOf(name: string): number {
  const found = readInterface(name);
  if (found === undefined) throw new Error(`Cannot find interface "${name}"`);
  return found.ifindex;
}

function countPrograms(progId: number): number {
  const directions: readonly Direction[] = ['ingress', 'egress'];
  return ['left', 'right']
    .flatMap((name) => directions.flatMap((direction) => queryTcx(ifindexOf(name), direction)))
    .filter((attached) => attached.progId === progId).length;
}

const [, , objectPath = '', planText = ''] = process.argv;
const plan: Plan = JSON.parse(planText);

run('mount', '-t', 'tmpfs', 'tmpfs', '/run');
run('mount', '-t', 'bpf', 'bpf', '/sys/fs/bpf');
run('ip', 'link', 'add', 'left', 'type', 'veth', 'peer', 'name', 'right');
mkdirSync(`${STATE}/default`, { recursive: true });

using object = await loadObject(objectPath);
using ours = object.program('l7egg_probe');
using foreign = object.program('stranger');
using _foreignLink = attachTcx(foreign, ifindexOf('left'), 'egress');

for (const place of plan.links ?? []) {
  const [name = '', side] = place.split(' ');
  const direction = side === 'ingress' ? 'ingress' : 'egress';
  using link = attachTcx(ours, ifindexOf(name), direction);
  mkdirSync(`${PINS}/default/links`, { recursive: true });
  link.pin(`${PINS}/default/links/${statSync('/proc/self/ns/net').ino}-${ifindexOf(name)}-${direction}`);
}

if (plan.filters !== undefined) {
  const ifindex = ifindexOf('left');
  addClsact(ifindex);
  if (plan.filters.made) writeFileSync(`${STATE}/default/clsact.${ifindex}`, '');
  for (const [index, name] of plan.filters.programs.entries()) {
    using program = object.program(name);
    // One priority for all: the cleaner has to tell them apart by handle.
    attachFilter(program, { ifindex, direction: 'egress', handle: index + 1, priority: 7 });
  }
}

const enforcer = plan.enforcer === true ? spawn('sleep', ['1000'], { argv0: 'l7egg-cli' }) : undefined;
if (enforcer !== undefined) writeFileSync(`${STATE}/default/pid`, `${enforcer.pid}\n`);

const cleaner = spawn('tools/tc-cleaner.sh', plan.args);
const output = { stdout: '', stderr: '' };
cleaner.stdout.setEncoding('utf8').on('data', (text: string) => {
  output.stdout += text;
});
cleaner.stderr.setEncoding('utf8').on('data', (text: string) => {
  output.stderr += text;
});
const [status]: (number | null)[] = await once(cleaner, 'close');

const ourId = ours.info().id;
await until(() => countPrograms(ourId) === plan.linksLeft, {
  limitMs: LIMIT_MS,
  what: `${plan.linksLeft} links (${countPrograms(ourId)} there)\n${output.stdout}${output.stderr}`,
});

const outcome: Outcome = {
  status: status ?? null,
  ...output,
  enforcerKilled: enforcer?.signalCode === 'SIGKILL',
  foreignLinks: countPrograms(foreign.info().id),
  filters: run('tc', 'filter', 'show', 'dev', 'left', 'egress'),
  qdisc: run('tc', 'qdisc', 'show', 'dev', 'left'),
  pins: existsSync(PINS) ? readdirSync(PINS) : [],
  state: readdirSync(STATE),
};
enforcer?.kill('SIGKILL');
process.stdout.write(JSON.stringify(outcome));
