/*
 * Runs by itself in a network namespace and prints what is attached there, one line each:
 * `INTERFACE DIRECTION PROGRAM` for tcx, `INTERFACE DIRECTION clsact PROGRAM` for filters.
 */
import { spawnSync } from 'node:child_process';
import { readInterface } from '../../src/libbpf/ifindex.ts';
import { type Direction, hasTcx, queryTcx } from '../../src/libbpf/link.ts';
import { BpfProgram } from '../../src/libbpf/program.ts';

const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];
const mayHaveTcx = hasTcx();

function programName(progId: number): string {
  using program = BpfProgram.byId(progId);
  return program.info().name;
}

function tcxLines(name: string, direction: Direction): string[] {
  const ifindex = readInterface(name)?.ifindex;
  if (ifindex === undefined || !mayHaveTcx) return [];
  return queryTcx(ifindex, direction).map(({ progId }) => `${name} ${direction} ${programName(progId)}`);
}

function clsactLines(name: string, direction: Direction): string[] {
  const { stdout } = spawnSync('tc', ['filter', 'show', 'dev', name, direction], { encoding: 'utf8' });
  return [...stdout.matchAll(/^filter .* bpf .*handle \S+ (\w+)/gmu)].map(
    ([, program = '']) => `${name} ${direction} clsact ${program}`,
  );
}

const names = spawnSync('ip', ['-o', 'link', 'show'], { encoding: 'utf8' })
  .stdout.split('\n')
  .flatMap((line) => /^\d+: ([^:@]+)/u.exec(line)?.[1] ?? []);
for (const name of names) {
  const qdisc = spawnSync('tc', ['qdisc', 'show', 'dev', name], { encoding: 'utf8' }).stdout;
  const lines = [
    ...(qdisc.includes('clsact') ? [`${name} clsact`] : []),
    ...DIRECTIONS.flatMap((direction) => [...tcxLines(name, direction), ...clsactLines(name, direction)]),
  ];
  for (const line of lines) process.stdout.write(`${line}\n`);
}
