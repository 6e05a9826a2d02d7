/*
 * What it costs a packet of a cgroup to be judged, by an enforcer of one subject and by one of 64, next to a cgroup that
 * nobody judges. One namespace, one sender, started in each cgroup in turn and in random order in each round; what counts
 * is the median of the differences within the rounds.
 *
 *   cgroup plain    judged by nobody   ─┐
 *   cgroup single   the only subject   ─┼─ eth0 ─ sink   what arrives is for another MAC address, and dropped at once
 *   cgroup many0    one of 64 subjects ─┘
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Scope } from '../../src/scope.ts';
import { Cgroup } from '../lab/cgroup.ts';
import { findCli } from '../lab/checkout.ts';
import { createNamespace, type Namespace } from '../lab/namespace.ts';
import { ip } from '../lab/topology.ts';
import type { Compiler } from './compile.ts';
import type { Report } from './report.ts';
import { median, shuffle } from './statistics.ts';

const ROUNDS = 41;
const PACKETS = 16_384;
const DESTINATIONS = 1024;
const SUBJECTS = 64;
const START_LIMIT_MS = 30_000;
const LIMIT = 1.2;

/** Measures the verdicts of subjects. */
export async function measureSubjects(compiler: Compiler, report: Report): Promise<void> {
  using scope = new Scope();
  const host = openHost(scope);
  const cgroup = (name: string) => scope.use(new Cgroup(host, `/l7bench-${process.pid}-${name}`));
  const plain = cgroup('plain');
  const again = cgroup('again');
  const single = cgroup('single');
  const many = Array.from({ length: SUBJECTS }, (_, index) => cgroup(`many${index}`));
  const [one = single] = many;
  await enforce(scope, host, 'single', [single]);
  await enforce(scope, host, 'many', many);

  const sender = compiler.program('sender.c');
  const input = Array.from({ length: DESTINATIONS }, (_, at) => `198.18.${at >> 8}.${at & 255}`).join('\n');
  const send = (from: Cgroup, packets: number) => {
    const { stdout, code, stderr } = from.run(sender, ['udp', '1', `${packets}`, host.path], { input });
    if (code !== 0) throw new Error(`the sender failed: ${stderr}`);
    return Number(stdout);
  };
  for (const each of many) send(each, DESTINATIONS); // all have flows
  const places = [plain, again, single, one];
  const rounds = Array.from({ length: ROUNDS }, () => {
    const costs = new Map(shuffle(places).map((each) => [each, send(each, PACKETS)]));
    return places.map((each) => costs.get(each) ?? Number.NaN);
  });
  const column = (index: number) => rounds.map((costs) => costs[index] ?? Number.NaN);
  const added = (index: number) => median(rounds.map((costs) => (costs[index] ?? 0) - (costs[0] ?? 0)));
  report.table('Added CPU ns per packet of a cgroup, UDP socket through the IP stack', [
    ['', 'ns'],
    ['judged by nobody', `${median(column(0)).toFixed(0)} in all`],
    ['judged by nobody again (null control)', added(1).toFixed(0)],
    ['the only subject of an enforcer', `+${added(2).toFixed(0)}`],
    [`one of ${SUBJECTS} subjects`, `+${added(3).toFixed(0)}`],
  ]);
  report.expect({
    what: `a verdict with ${SUBJECTS} subjects`,
    value: added(3) / added(2),
    limit: LIMIT,
    unit: ' × with one',
  });
}

async function enforce(
  scope: Scope,
  host: Namespace,
  name: string,
  cgroups: readonly Cgroup[],
): Promise<void> {
  const file = join(host.directory, `${name}.json`);
  const policies = cgroups.map(({ path }) => ({
    apiVersion: 'l7egg/v1',
    kind: 'EgressPolicy',
    subject: `cgroup:${path}`,
    rules: [{ cidrs: ['198.18.0.0/15'] }],
  }));
  writeFileSync(file, policies.map((policy) => JSON.stringify(policy)).join('\n---\n'));
  const instance = `-instance=bench-${name}-${process.pid}`;
  scope.defer(() => host.run(findCli(), ['clean', instance]));
  const flags = [`-policy=${file}`, instance, '-resolver=192.0.2.53'];
  const enforcer = host.spawn('sh', ['-c', 'exec "$0" "$@" >/dev/null', findCli(), ...flags]);
  await enforcer.waitForLine(/^enforcing/u, START_LIMIT_MS);
}

function openHost(scope: Scope): Namespace {
  const sink = scope.use(createNamespace('sink'));
  const host = scope.use(createNamespace('host'));
  ip(host, [
    `link add eth0 type veth peer name port netns ${sink.name}`,
    'addr add 192.0.2.2/24 dev eth0',
    'link set eth0 up',
    'neigh add 192.0.2.1 lladdr 02:00:00:00:00:63 dev eth0 nud permanent',
    'route add default via 192.0.2.1',
  ]);
  ip(sink, ['link set port up']);
  return host;
}
