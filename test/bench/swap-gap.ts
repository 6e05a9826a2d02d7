/*
 * What packets notice of a swap: a sender on the lab's host, the real command with a large policy, and the far end that
 * counts what came. Rounds with a reload and rounds without take turns.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Scope } from '../../src/scope.ts';
import { findCli } from '../lab/checkout.ts';
import type { Process } from '../lab/process.ts';
import { createLab } from '../lab/topology.ts';
import type { Compiler } from './compile.ts';
import type { Report } from './report.ts';
import { lowerQuartile } from './statistics.ts';
import { largeFile } from './swap-policies.ts';

const ROUNDS = 5;
const PORT = 2001;
const ADDRESS = '198.51.100.1';
const BLOCKED = '203.0.113.66';
const LIMIT_MS = 60_000;
const INSTANCE = `bench-gap-${process.pid}`;

interface Sent {
  readonly sent: number;
  readonly cpuUs: number;
  readonly wallUs: number;
}

/** For how long at most a packet was without a verdict more than without a swap, and how many had a wrong one. */
export async function measureVerdictGap(
  compiler: Compiler,
  report: Report,
): Promise<{ gapMs: number; wrong: number }> {
  using scope = new Scope();
  const lab = scope.use(createLab());
  const { host, web } = lab;
  const program = compiler.program('swap-sender.c');
  const far = web.spawn(program, [`${PORT}`]);
  await far.waitForLine(/^listening$/, LIMIT_MS);
  const file = join(host.directory, 'large.yaml');
  writeFileSync(file, largeFile(0, [ADDRESS]));
  scope.defer(() => host.run(findCli(), ['clean', `-instance=${INSTANCE}`]));
  const flags = [
    '-iface=eth0',
    '-eface=eth0',
    `-policy=${file}`,
    `-instance=${INSTANCE}`,
    '-resolver=192.0.2.53',
  ];
  const enforcer = host.spawn('sh', ['-c', 'exec "$0" "$@" > /dev/null', findCli(), ...flags]);
  await enforcer.waitForLine(/^enforcing/, LIMIT_MS);

  const sender = host.spawn(program, [ADDRESS, `${PORT}`, BLOCKED]);
  await sender.waitForLine(/^going$/, LIMIT_MS);
  const still: Sent[] = [];
  const swapped: Sent[] = [];
  const reloads: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    await ask(sender);
    const begun = performance.now();
    writeFileSync(`${file}.new`, largeFile(round, [ADDRESS]));
    renameSync(`${file}.new`, file);
    const mark = enforcer.mark();
    enforcer.kill('SIGHUP');
    await enforcer.waitForLine(/^reloaded$/, LIMIT_MS, mark);
    const ms = performance.now() - begun;
    reloads.push(ms);
    swapped.push(await ask(sender));
    await pause(ms);
    still.push(await ask(sender));
  }
  const mark = sender.mark();
  sender.kill('SIGTERM');
  const { sent }: Sent = JSON.parse((await sender.waitForLine(/^\{/, LIMIT_MS, mark)).text);
  await pause(200); // the far end empties its queue
  far.kill('SIGTERM');
  const end = await far.waitForLine(/^\{/, LIMIT_MS);
  const { received, passed, lost }: { received: number; passed: number; lost: number } = JSON.parse(end.text);
  const column = (rounds: readonly Sent[], key: 'cpuUs' | 'wallUs') =>
    lowerQuartile(rounds.map((each) => each[key])).toFixed(0);
  report.table(`Longest round of two datagrams, µs, lower quartile of ${ROUNDS}`, [
    ['', 'CPU time of the sender', 'by the clock'],
    ['nothing is swapped', column(still, 'cpuUs'), column(still, 'wallUs')],
    [
      `a reload, ${lowerQuartile(reloads).toFixed(0)} ms, of a file of 110,000 entries`,
      column(swapped, 'cpuUs'),
      column(swapped, 'wallUs'),
    ],
  ]);
  report.progress(`${sent} sent, ${received} received, ${lost} without room, ${passed} passed`);
  const gapUs = Number(column(swapped, 'cpuUs')) - Number(column(still, 'cpuUs'));
  return { gapMs: Math.max(0, gapUs / 1000), wrong: Math.max(0, sent - received - lost) + passed };
}

async function ask(sender: Process): Promise<Sent> {
  const mark = sender.mark();
  sender.kill('SIGUSR1');
  const sent: Sent = JSON.parse((await sender.waitForLine(/^\{/, LIMIT_MS, mark)).text);
  return sent;
}
