/*
 * The time of day is stepped, a year back and forth: leases, flows and what the process asks again go by clocks that
 * nobody sets. The clock of this machine is left alone: only the enforcer sees another (test/lab/stepped-clock.c). The
 * programs in the kernel read the boot-time and the monotonic clock only.
 *
 * test/lab/topology.ts, unbound on 192.0.2.53, which sends long answers in fragments; the traffic: invariants.ts.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findCheckout, findCli } from '../lab/checkout.ts';
import { dig } from '../lab/clients.ts';
import { mustRun } from '../lab/command.ts';
import type { Namespace } from '../lab/namespace.ts';
import { addressRecords } from '../lab/records.ts';
import { startUnbound } from '../lab/resolvers.ts';
import { startTcpEcho, startWeb } from '../lab/servers.ts';
import { createLab, type Lab, RESOLVERS } from '../lab/topology.ts';
import { RunningEnforcer } from './enforcer.ts';
import {
  ANY_NAME,
  assertNothingLeft,
  assertTruthful,
  ECHO,
  noteKernel,
  startAnyName,
  startProber,
} from './invariants.ts';
import { isRefused, passes, passesSoon } from './learning-lab.ts';
import { chains, l7egg, newInstance } from './robust-lab.ts';

const [SERVER] = RESOLVERS;
const LIMIT_MS = 15_000;
const YEAR = 365n * 86_400n;
const ADDRESSES = 100;
const STEPS = [
  { what: 'a year back', seconds: -YEAR },
  { what: 'a year ahead', seconds: YEAR },
  { what: 'right again', seconds: 0n },
] as const;
const addressesOf = (index: number) =>
  Array.from({ length: ADDRESSES }, (_, at) => `2001:db8:2::${index + 1}:${at + 1}`);

let lab: Lab;
let host: Namespace;

before(async () => {
  lab = createLab();
  host = lab.host;
  const records = STEPS.flatMap((_, index) => addressRecords(`long${index}.ok.example`, addressesOf(index)));
  await Promise.all([
    startWeb(lab.web),
    startTcpEcho(lab.web),
    startAnyName(lab),
    startUnbound(lab.dns, { addresses: [SERVER.v4, SERVER.v6], records }),
  ]);
  host.useResolvConf(`nameserver ${SERVER.v4}\n`);
});
after(() => lab.close());

function step(path: string, seconds: bigint): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(seconds);
  writeFileSync(path, bytes, { flag: 'r+' }); // in place: it is mapped
}

test('the time of day is stepped back, ahead and right again: all is judged and learned as before', async (context) => {
  const instance = newInstance();
  context.after(() => l7egg(host, 'clean', `-instance=${instance}`));
  const library = join(host.directory, 'stepped-clock.so');
  const offset = join(host.directory, 'offset');
  const source = join(findCheckout(), 'test', 'lab', 'stepped-clock.c');
  mustRun(['clang', '-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', source, '-o', library, '-ldl']);
  writeFileSync(offset, Buffer.alloc(8));
  const resolvers = `-resolver=${SERVER.v4},${SERVER.v6},${ANY_NAME.v4}`;
  const flags = ['-iface=eth0', '-eface=eth0', '-cn=.ok.example', `-cidr=${ECHO}`, resolvers];
  const env = { LD_PRELOAD: library, STEPPED_CLOCK: offset };
  const process = host.spawn(findCli(), [...flags, '-log=json', `-instance=${instance}`], { env });
  const enforcer = new RunningEnforcer(process, instance, 'json');
  await process.waitForLine(/^enforcing/u, LIMIT_MS);
  const judged = { host, instance, place: host, hooks: await chains(host) };
  const prober = await startProber(host, { nonce: instance });
  await prober.strict();
  for (const [index, { what, seconds }] of STEPS.entries()) {
    step(offset, seconds);
    const since = enforcer.events().length;
    const [first = '', last = ''] = [addressesOf(index)[0], addressesOf(index).at(-1)];
    await isRefused(host, last);
    // In fragments: the process asks again by itself.
    const words = ['+ignore', '+bufsize=4096', `long${index}.ok.example`, 'AAAA'];
    assert.match(dig(host, SERVER.v6, words).stdout, new RegExp(`ANSWER: ${ADDRESSES},`, 'u'));
    await passesSoon(host, last);
    await passes(host, first);
    const { ts } = await enforcer.waitForEvent(({ reason }) => reason === 'dns-unparsed', LIMIT_MS, since);
    const offMs = Date.parse(ts) - Date.now() - Number(seconds) * 1_000;
    assert.ok(Math.abs(offMs) < 60_000, `${what}: told at ${ts}, the time of day as it is set`);
    await assertTruthful(judged, what);
  }
  const report = await prober.finish(20);
  const noted = noteKernel(instance);
  await enforcer.stop();
  await assertNothingLeft(judged, noted, 'after stop');
  context.diagnostic(`clock: ${JSON.stringify(report)}`);
});
