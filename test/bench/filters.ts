import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pins } from '../../src/datapath/pins.ts';
import { applyPolicy, freeIdleSlot } from '../../src/datapath/policy-slot.ts';
import { openPinnedMaps } from '../../src/datapath/state.ts';
import { readInterface } from '../../src/libbpf/ifindex.ts';
import { attachTcx } from '../../src/libbpf/link.ts';
import type { BpfProgram } from '../../src/libbpf/program.ts';
import { enterNetns } from '../../src/libbpf/setns.ts';
import type { PrefixRows } from '../../src/policy/compile-prefixes.ts';
import { findCli } from '../lab/checkout.ts';
import { digShort } from '../lab/clients.ts';
import type { Namespace } from '../lab/namespace.ts';
import { addressRecords } from '../lab/records.ts';
import { startDnsmasq } from '../lab/resolvers.ts';
import { untilListening } from '../lab/servers.ts';
import { dottedAddresses, tablePolicy } from './policies.ts';

/** Something in the way of what leaves by eth0 of a namespace. */
export interface Filter {
  readonly what: string;
  readonly namespace: Namespace;
  /** Lets these addresses pass and no others. */
  allow(addresses: PrefixRows): Promise<void>;
}

/** The table and set that dnsmasq and we fill. */
const SET = { family: 'inet', table: 'fw', name: 'allowed' };
const READY_LIMIT_MS = 15_000;
const FILL_LIMIT_MS = 120_000;
const ELEMENTS_A_LINE = 10_000;
const UPSTREAM_PORT = 5300;
/** Addresses that come into the set by names. */
const NAMED = 10;
const SUFFIX = 'named.example';

/** Nothing in the way. */
export function openNothing(what: string, namespace: Namespace): Filter {
  return { what, namespace, allow: async () => {} };
}

/** A tc program that only returns, in the place of l7egg's; the namespace takes its link. */
export function openProgram(what: string, namespace: Namespace, program: BpfProgram): Filter {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    enterNetns(namespace.path);
    const device = readInterface('eth0');
    if (!device) throw new Error(`Cannot find eth0 in ${namespace.name}`);
    namespace.use(attachTcx(program, device.ifindex, 'egress'));
  } finally {
    enterNetns(`/proc/self/fd/${home}`);
    closeSync(home);
  }
  return { what, namespace, allow: async () => {} };
}

/** l7egg as it is started on a host; the policies come straight to its maps, as no command line holds a million. */
export async function openL7egg(what: string, namespace: Namespace): Promise<Filter> {
  const instance = `bench-${process.pid}`;
  namespace.use({
    [Symbol.dispose]: () => void namespace.run(findCli(), ['clean', `-instance=${instance}`]),
  });
  const flags = [
    '-iface=eth0',
    '-eface=eth0',
    '-cidr=198.18.0.0/15',
    '-resolver=192.0.2.53',
    `-instance=${instance}`,
  ];
  const enforcer = namespace.spawn(findCli(), flags);
  await enforcer.waitForLine(/^enforcing/, READY_LIMIT_MS);
  return {
    what,
    namespace,
    allow: async (addresses) => {
      using state = openPinnedMaps(new Pins(instance));
      await applyPolicy(state, tablePolicy(addresses));
      await freeIdleSlot(state);
    },
  };
}

/**
 * dnsmasq with --nftset in front of nftables with a default-drop chain in `family`, whose `rules` let the set
 * pass. The first addresses come into the set by dnsmasq, the others by nft.
 */
export async function openNftables(what: string, namespace: Namespace, rules: string): Promise<Filter> {
  namespace.must('nft', ['-f', '-'], {
    input: `table ${SET.family} ${SET.table} {
      set ${SET.name} { type ipv4_addr; }
      chain output { type filter hook output priority 0; policy drop; ${rules}; oif lo accept; }
    }`,
  });
  let stop = () => {};
  return {
    what,
    namespace,
    allow: async (addresses) => {
      stop();
      const all = [...dottedAddresses(addresses)];
      const named = all.slice(0, NAMED);
      flushSet(namespace, SET.family);
      stop = await startNftsetForwarder(namespace, named);
      for (const index of named.keys()) digShort(namespace, '127.0.0.1', [`n${index}.${SUFFIX}`, 'A']);
      expectInSet(namespace, named);
      addToSet(namespace, SET.family, all.slice(NAMED));
    },
  };
}

/** nftables at the hook where l7egg is, with nothing but the set. */
export function openNetdev(what: string, namespace: Namespace): Filter {
  namespace.must('nft', ['-f', '-'], {
    input: `table netdev ${SET.table} {
      set ${SET.name} { type ipv4_addr; }
      chain out { type filter hook egress device "eth0" priority 0; policy drop; ip daddr @${SET.name} accept; }
    }`,
  });
  return {
    what,
    namespace,
    allow: async (addresses) => {
      flushSet(namespace, 'netdev');
      addToSet(namespace, 'netdev', [...dottedAddresses(addresses)]);
    },
  };
}

function flushSet(namespace: Namespace, family: string): void {
  namespace.must('nft', ['flush', 'set', family, SET.table, SET.name], { timeoutMs: FILL_LIMIT_MS });
}

function addToSet(namespace: Namespace, family: string, addresses: readonly string[]): void {
  const lines: string[] = [];
  for (let at = 0; at < addresses.length; at += ELEMENTS_A_LINE) {
    const elements = addresses.slice(at, at + ELEMENTS_A_LINE).join(', ');
    lines.push(`add element ${family} ${SET.table} ${SET.name} { ${elements} }\n`);
  }
  namespace.must('nft', ['-f', '-'], { input: lines.join(''), timeoutMs: FILL_LIMIT_MS });
}

function expectInSet(namespace: Namespace, addresses: readonly string[]): void {
  namespace.must('nft', ['get', 'element', SET.family, SET.table, SET.name, `{ ${addresses.join(', ')} }`]);
}

/** Answers `n0.named.example` and so on with these addresses, which it enters into the set. */
async function startNftsetForwarder(namespace: Namespace, addresses: readonly string[]): Promise<() => void> {
  const records = addresses.flatMap((address, index) => addressRecords(`n${index}.${SUFFIX}`, [address]));
  const upstream = await startDnsmasq(namespace, { addresses: ['127.0.0.1'], port: UPSTREAM_PORT, records });
  const config = join(namespace.directory, 'nftset.conf');
  writeFileSync(
    config,
    ['user=root', 'no-resolv', 'no-hosts', 'listen-address=127.0.0.1', 'bind-interfaces', 'cache-size=0']
      .concat(`server=127.0.0.1#${UPSTREAM_PORT}`)
      .concat(`nftset=/${SUFFIX}/4#${SET.family}#${SET.table}#${SET.name}`)
      .join('\n'),
  );
  const forwarder = namespace.spawn('dnsmasq', [
    '--keep-in-foreground',
    '--pid-file=',
    `--conf-file=${config}`,
  ]);
  await untilListening(namespace, forwarder, ['udp'], 53);
  return () => {
    forwarder.close();
    upstream[Symbol.dispose]();
  };
}
