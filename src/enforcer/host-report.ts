import { readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { hasLinkLayer } from '../datapath/attach.ts';
import { LAYOUT, LIMITS } from '../datapath/layout.ts';
import { listAllHooks } from '../datapath/pins.ts';
import { isLoopback } from '../dns/resolver.ts';
import { SystemError, UnsupportedError } from '../errors.ts';
import { cgroup2Mount } from '../libbpf/cgroup2.ts';
import { isKernelSince, tooOldKernel } from '../libbpf/kernel-release.ts';
import { hasTcx, queryTcx } from '../libbpf/link.ts';
import { isBpffs } from '../libbpf/mount.ts';
import { BpfProgram } from '../libbpf/program.ts';
import { type Link, listLinks } from '../netlink/links.ts';
import { listUdpSockets } from '../netlink/sock-diag.ts';
import { arePinsHidden } from './bpffs.ts';
import { isWayOut } from './interfaces.ts';
import { netnsInode } from './netns.ts';
import { findResolvers, formatResolver } from './resolvers.ts';

/** One finding: `ok` is there, `note` is worth knowing, `missing` keeps l7egg from enforcing. */
export interface Finding {
  readonly level: 'ok' | 'note' | 'missing';
  readonly text: string;
}

/** Looks at the host: what is there, what is missing and how to get it, what is not covered. Changes nothing. */
export function examineHost(): Finding[] {
  const findings = [...examineKernel(), ...examineResolvers()];
  if (findings.some(({ level }) => level === 'missing')) return findings;
  return [
    ...findings,
    ...examineLinks(),
    ...examineLocalResolver(),
    ...examineMemory(),
    ...NOT_HELD.map((text): Finding => ({ level: 'note', text })),
  ];
}

/** What can't be held, in every report: SECURITY.md has the reasons. */
export const NOT_HELD: readonly string[] = [
  'what one program looks up is open to every program behind the interface, containers behind NAT included',
  'names that share an address are one destination: the TLS server name is not looked at yet',
  'data in DNS: the names of lookups to a trusted resolver can carry it; -dns=strict limits it to listed names',
  'CAP_NET_RAW sends past tc by PACKET_QDISC_BYPASS or AF_XDP, and past cgroups: keep it from what you confine',
  'CAP_NET_ADMIN in the controlled network namespace, or root on the host, can take l7egg off: keep them, too',
  'an inbound call is a way out: a peer that reaches a listening port can carry data out; -inbound=PORTS limits which',
  'sockets that were made elsewhere and come in (socket activation, a process moved into a cgroup) are not judged there',
  'daemons at unusual paths of unix sockets, and files that programs run later, can act for a command under run',
];

function examineKernel(): Finding[] {
  const findings: Finding[] = [];
  const add = (level: Finding['level'], text: string) => findings.push({ level, text });
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) add('missing', 'root: run it with sudo');
  try {
    const tcx = hasTcx();
    const tooOld = tooOldKernel();
    if (tooOld !== undefined) add('missing', `kernel: ${tooOld}`);
    else
      add('ok', `kernel ${release()}, ${tcx ? 'tcx links' : 'clsact filters (tcx comes with 6.6)'}, libbpf`);
  } catch (thrown) {
    if (!(thrown instanceof UnsupportedError || thrown instanceof SystemError)) throw thrown;
    add('missing', `bpf: ${thrown.message}`);
  }
  add(...examineBpffs(isRoot));
  if (!isKernelSince(6, 12))
    add('note', 'abstract unix sockets are open to a command under run before Linux 6.12');
  const cgroup = cgroup2Mount();
  add(
    cgroup ? 'ok' : 'note',
    cgroup ? `cgroup2 on ${cgroup}` : 'cgroup2 is not mounted: events will not name the process',
  );
  return findings;
}

function examineBpffs(isRoot: boolean): [Finding['level'], string] {
  if (isBpffs('/sys/fs/bpf')) return ['ok', 'bpffs on /sys/fs/bpf'];
  if (arePinsHidden()) {
    return [
      'missing',
      'bpffs: this private mount namespace ("ip netns exec" makes one) hides that of the host',
    ];
  }
  return [isRoot ? 'ok' : 'missing', 'bpffs is not mounted on /sys/fs/bpf: it will be at the start'];
}

function examineResolvers(): Finding[] {
  const { resolvers, remarks } = findResolvers([]);
  const text = resolvers.map(formatResolver).join(', ');
  return [
    resolvers.length > 0
      ? { level: 'ok', text: `resolvers: ${text}` }
      : { level: 'note', text: 'no resolver is known: give one with -resolver, or no name can be learned' },
    ...remarks.map((remark): Finding => ({ level: 'note', text: remark })),
    // Of IPv4 the kernel takes such packets from sockets only.
    ...resolvers
      .filter((resolver) => isLoopback(resolver) && formatResolver(resolver).includes('::'))
      .map((resolver): Finding => {
        const text = `resolver ${formatResolver(resolver)}: who has CAP_NET_RAW can forge its answers; 127.0.0.1 can not be forged so`;
        return { level: 'note', text };
      }),
  ];
}

function examineLinks(): Finding[] {
  const here = netnsInode();
  const hooks = listAllHooks().filter(({ hook }) => hook.netns === here && hook.direction === 'egress');
  const links = listLinks().filter((link) => link.up && isWayOut(link));
  return links.flatMap((link): Finding[] => {
    const owner = hooks.find(({ hook }) => hook.ifindex === link.ifindex);
    const shape = hasLinkLayer(link.arphrd) ? '' : ', no link-layer header';
    const served = owner ? `served by instance "${owner.instance}"` : 'not served by any instance';
    return [
      { level: owner ? 'ok' : 'note', text: `interface ${link.name}${shape}: ${served}` },
      ...examineChain(link),
    ];
  });
}

/* A program in front of ours that answers "ok" ends the chain, and ours is not asked. */
function examineChain(link: Link): Finding[] {
  if (!hasTcx()) return [];
  const names = queryTcx(link.ifindex, 'egress').map(({ progId }) => {
    using program = BpfProgram.byId(progId);
    return program.info().name;
  });
  const ours = names.findIndex((name) => name.startsWith('l7egg_'));
  if (ours < 1) return [];
  return [
    {
      level: 'note',
      text: `interface ${link.name}: "${names.slice(0, ours).join('", "')}" runs before l7egg and can pass packets by`,
    },
  ];
}

/* A recursive resolver on this host asks servers everywhere: it needs rules of its own. */
function examineLocalResolver(): Finding[] {
  const listens = listUdpSockets().some(({ localPort, remotePort }) => localPort === 53 && remotePort === 0);
  const names = ['unbound', 'named', 'knot-resolver', 'pdns_recursor'].filter(isRunning);
  if (!listens || names.length === 0) return [];
  return [
    {
      level: 'note',
      text: `${names.join(', ')} on this host answers on port 53: if it asks servers everywhere by itself, allow port 53 to them, or have it forward to a resolver given with -resolver`,
    },
  ];
}

function isRunning(comm: string): boolean {
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/u.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === comm;
    } catch {
      return false; // it ended while we looked
    }
  });
}

/* What the kernel keeps for an entry of a hash besides key and value: its head, and its bucket. */
const HASH_ENTRY_BYTES = 64;
const BUCKET_BYTES = 16;
const U32_BYTES = 4;
const COOKIE_BYTES = 8;

function examineMemory(): Finding[] {
  const { MAX_FLOWS, MAX_INBOUND, MAX_LEASE_ADDRS, MAX_LEASE_RECORDS, MAX_PENDING, MAX_OBSERVED } = LIMITS;
  const hashes: readonly (readonly [entries: number, keyBytes: number, valueBytes: number])[] = [
    [MAX_FLOWS, LAYOUT.flow_key.size, LAYOUT.flow.size],
    [2 * MAX_INBOUND, LAYOUT.flow_key.size, LAYOUT.inbound.size],
    [MAX_LEASE_ADDRS, LAYOUT.host_key.size, LAYOUT.leases.size],
    [MAX_PENDING + MAX_OBSERVED, LAYOUT.pending_key.size, LAYOUT.pending.size],
    [LIMITS.MAX_ALIASES, LAYOUT.alias_key.size, LAYOUT.alias.size],
    [LIMITS.MAX_PROCS, COOKIE_BYTES, LAYOUT.proc.size],
    [LIMITS.MAX_SERIES, LAYOUT.series_key.size, LAYOUT.series.size],
    [LIMITS.MAX_DNS_STREAMS, LAYOUT.dns_stream_key.size, LAYOUT.dns_stream.size],
    [LIMITS.MAX_FRAGMENTS, LAYOUT.fragment_key.size, LAYOUT.fragment.size],
    [LIMITS.MAX_INTERFACES, U32_BYTES, U32_BYTES],
  ];
  const bytes =
    hashes.reduce((sum, [entries, key, value]) => sum + entries * (key + value + HASH_ENTRY_BYTES), 0) +
    2 * MAX_LEASE_RECORDS * LAYOUT.lease_record.size +
    2 * LIMITS.MAX_RULES * BUCKET_BYTES +
    LIMITS.RING_BYTES;
  return [
    {
      level: 'ok',
      text: `kernel memory of an instance: about ${Math.round(bytes / 1e6)} MB (${MAX_FLOWS} flows, ${MAX_LEASE_RECORDS} learned addresses)`,
    },
  ];
}
