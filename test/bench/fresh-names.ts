/*
 * Names that nobody asked for before, an address each, looked up and connected to at once: of the first packets
 * of these connections none may be lost. Nothing is tried twice, but SYNs by the kernel, and those are counted.
 */
import { Scope } from '../../src/scope.ts';
import { findCli } from '../lab/checkout.ts';
import { connectAtFirstPacket } from '../lab/clients.ts';
import { freshRecords } from '../lab/first-packet.ts';
import { startDnsmasq } from '../lab/resolvers.ts';
import { startWeb } from '../lab/servers.ts';
import { createLab, RESOLVERS } from '../lab/topology.ts';
import type { Compiler } from './compile.ts';
import type { Report } from './report.ts';

const COUNT = 20_000;
/** More at a time, and dnsmasq's socket overflows: that loses queries, not first packets. */
const PARALLEL = 64;
const READY_LIMIT_MS = 15_000;
const LIMIT_MS = 120_000;
const SUFFIX = 'fresh.example';
const [RESOLVER] = RESOLVERS;

/** Connects to fresh names of IPv6, for which the documentation prefix has room. */
export async function measureFreshNames(_compiler: Compiler, report: Report): Promise<void> {
  using scope = new Scope();
  const names = { suffix: SUFFIX, nonce: 'n', count: COUNT, family: 6 } as const;
  const lab = scope.use(createLab());
  const instance = `-instance=bench-${process.pid}`;
  scope.defer(() => lab.host.run(findCli(), ['clean', instance]));
  await Promise.all([
    startDnsmasq(lab.dns, { addresses: [RESOLVER.v4, RESOLVER.v6], records: freshRecords(names) }),
    startWeb(lab.web, { ports: [80] }),
  ]);
  const flags = ['-iface=eth0', '-eface=eth0', `-cn=.${SUFFIX}`, `-resolver=${RESOLVER.v4}`, instance];
  const enforcer = lab.host.spawn(findCli(), flags);
  await enforcer.waitForLine(/^enforcing/, READY_LIMIT_MS);
  const plan = {
    ...names,
    resolver: RESOLVER.v4,
    resolverPort: 53,
    parallel: PARALLEL,
    connectPort: 80,
    limitMs: 5_000,
  };
  const found = await connectAtFirstPacket(lab.host, plan, LIMIT_MS);
  const lost = COUNT - found.connected + found.synRetransmits;
  report.table(`${COUNT} fresh names, ${PARALLEL} at a time, each connected to at the moment of its answer`, [
    ['', ''],
    ['answered', `${found.answered}`],
    ['connected', `${found.connected}`],
    ['SYNs sent again', `${found.synRetransmits}`],
    [
      'connect, median / p99 / slowest',
      `${found.connectMs.p50.toFixed(2)} / ${found.connectMs.p99.toFixed(2)} / ${found.connectMs.max.toFixed(2)} ms`,
    ],
    ['all together', `${(found.totalMs / 1000).toFixed(1)} s`],
    ...found.failures.slice(0, 3).map((failure) => ['failed', failure]),
  ]);
  report.expect({ what: `first packets lost of ${COUNT}`, value: lost, limit: 0, unit: '' });
}
