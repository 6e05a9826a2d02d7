/*
 * What each filter adds to the CPU time of a packet, next to nothing in the way and, to know how far such
 * figures can be trusted, next to nothing once more.
 *
 *   nothing      eth0 ─┐
 *   l7egg        eth0 ─┼─ sink   what arrives is for another MAC address, and dropped at once
 *   nftables     eth0 ─┘
 *
 * A namespace for each, all alike but for the filter. One process sends the same datagrams, out of each in
 * turn and in random order in each round; what counts is the median of the differences within the rounds.
 */

import { loadObject } from '../../src/libbpf/object.ts';
import { Scope } from '../../src/scope.ts';
import { type Argv, mustRun } from '../lab/command.ts';
import { createNamespace, type Namespace } from '../lab/namespace.ts';
import { ip } from '../lab/topology.ts';
import type { Compiler } from './compile.ts';
import { type Filter, openL7egg, openNetdev, openNftables, openNothing, openProgram } from './filters.ts';
import { randomRows } from './policies.ts';
import type { Report } from './report.ts';
import { median } from './statistics.ts';

const ROUNDS = 41;
const PACKETS = 16_384;
const SEND_LIMIT_MS = 120_000;
const DESTINATIONS = 1024;
const HALF = 0.5;
const SIZES = [
  { count: 10, label: '10' },
  { count: 10_000, label: '10k' },
  { count: 1_000_000, label: '1M' },
];
const NOTHING = 'nothing';
const NOTHING_AGAIN = 'nothing again (null control)';
const TC_BARE = 'a tc program that only returns';
const L7EGG = 'l7egg';
const NFTABLES = 'dnsmasq --nftset + nftables, default drop';
const NFT_SET = 'the same without conntrack: replies to inbound are lost';
const NFT_NETDEV = 'nftables at the egress hook of the device, set only';

/** How the sender gives its packets to the kernel. */
type Method = 'udp' | 'packet';

const METHODS: readonly {
  readonly method: Method;
  readonly title: string;
  readonly filters: readonly string[];
}[] = [
  {
    method: 'udp',
    title: 'Added CPU ns per packet, UDP socket through the IP stack',
    filters: [NOTHING, NOTHING_AGAIN, TC_BARE, L7EGG, NFTABLES, NFT_SET],
  },
  {
    method: 'packet',
    title: 'Added CPU ns per packet, packet socket (egress hooks of the device only)',
    filters: [NOTHING, NOTHING_AGAIN, TC_BARE, L7EGG, NFT_NETDEV],
  },
];

/** Measures every filter at every number of allowed addresses. */
export async function measureAdded(compiler: Compiler, report: Report): Promise<void> {
  using scope = new Scope();
  using object = await loadObject(compiler.object('paths.bpf.c'));
  const open = makeOpener(scope);
  const filters: Filter[] = [
    openNothing(NOTHING, open()),
    openNothing(NOTHING_AGAIN, open()),
    openProgram(TC_BARE, open(), scope.use(object.program('bare'))),
    await openL7egg(L7EGG, open()),
    await openNftables(NFTABLES, open(), 'ct state established,related accept; ip daddr @allowed accept'),
    await openNftables(NFT_SET, open(), 'ip daddr @allowed accept'),
    openNetdev(NFT_NETDEV, open()),
  ];
  const sender = compiler.program('sender.c');
  const costs = new Map<string, Cost>();
  for (const { count, label } of SIZES) {
    report.progress(`allowing ${label} addresses`);
    // Benchmark addresses (RFC 2544): what is sent goes to these.
    const given = Array.from(
      { length: Math.min(count, DESTINATIONS) },
      (_, at) => `198.18.${at >> 8}.${at & 255}`,
    );
    const rows = randomRows({ count, bits: 32, given });
    for (const filter of filters) await filter.allow(rows);
    for (const { method, filters: wanted } of METHODS) {
      const some = filters.filter(({ what }) => wanted.includes(what));
      for (const [what, cost] of send([sender, method], some, given))
        costs.set(`${method} ${label} ${what}`, cost);
    }
  }
  const cost = (method: Method, label: string, what: string) =>
    costs.get(`${method} ${label} ${what}`) ?? { ns: Number.NaN, addedNs: Number.NaN };
  for (const { method, title, filters: wanted } of METHODS) {
    report.table(title, [
      ['allowed addresses', ...SIZES.map(({ label }) => label)],
      ...wanted.map((what) => [
        what,
        ...SIZES.map(({ label }) => {
          const { ns, addedNs } = cost(method, label, what);
          return what === NOTHING
            ? `${ns.toFixed(0)} in all`
            : `${addedNs < 0 ? '' : '+'}${addedNs.toFixed(0)}`;
        }),
      ]),
    ]);
  }
  for (const { label } of SIZES) {
    report.expect({
      what: `added by l7egg at ${label} addresses`,
      value: cost('udp', label, L7EGG).addedNs / cost('udp', label, NFTABLES).addedNs,
      limit: HALF,
      unit: ' of what nftables adds',
    });
  }
}

/** CPU ns of a packet, and what of it is more than with nothing in the way. */
interface Cost {
  readonly ns: number;
  readonly addedNs: number;
}

/** Sends to `destinations` out of each namespace; the first is the one to compare with. */
function send(command: Argv, filters: readonly Filter[], destinations: readonly string[]): Map<string, Cost> {
  const argv: Argv = [
    ...command,
    `${ROUNDS}`,
    `${PACKETS}`,
    ...filters.map(({ namespace }) => namespace.path),
  ];
  const rounds = mustRun(argv, { input: destinations.join('\n'), timeoutMs: SEND_LIMIT_MS })
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map(Number));
  const costs = new Map<string, Cost>();
  filters.forEach(({ what }, position) => {
    const ns = rounds.map((round) => round[position] ?? Number.NaN);
    const added = rounds.map((round) => (round[position] ?? Number.NaN) - (round[0] ?? Number.NaN));
    costs.set(what, { ns: median(ns), addedNs: median(added) });
  });
  return costs;
}

/** Makes namespaces that differ in nothing. */
function makeOpener(scope: Scope): () => Namespace {
  const sink = scope.use(createNamespace('sink'));
  let count = 0;
  return () => {
    count += 1;
    const namespace = scope.use(createNamespace(`filter${count}`));
    ip(namespace, [
      `link add eth0 type veth peer name port${count} netns ${sink.name}`,
      'addr add 192.0.2.2/24 dev eth0',
      'link set eth0 up',
      'neigh add 192.0.2.1 lladdr 02:00:00:00:00:63 dev eth0 nud permanent',
      'route add default via 192.0.2.1',
    ]);
    ip(sink, [`link set port${count} up`]);
    return namespace;
  };
}
