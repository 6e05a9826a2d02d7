/*
 *   near (this process)                         far
 *   198.18.N.1, 2001:db8:N::1   nearN ── farN   198.18.N.2, 2001:db8:N::2
 */
import { readFileSync } from 'node:fs';
import { after } from 'node:test';
import { readInterface } from '../../src/libbpf/ifindex.ts';
import { enterNetns, openSocket } from '../../src/libbpf/setns.ts';
import { addressOf, libc } from '../../src/libbpf/symbols.ts';
import { mustRun } from '../lab/command.ts';
import { createNamespace, type Namespace } from '../lab/namespace.ts';

/** A veth pair; the near end is in this process's network namespace. */
export interface Wire {
  readonly name: string;
  readonly farName: string;
  readonly ifindex: number;
  readonly v4: string;
  readonly v6: string;
}

const SIOCETHTOOL = 0x8946;
const ETHTOOL_STSO = 0x1f;
const IFREQ_BYTES = 40;
const ETHERNET_HEADER_BYTES = 14;

/** Two network namespaces, gone after the tests of the file; this process moves into `near`. */
export class ShapeLab {
  readonly near: Namespace = createNamespace('near');
  readonly far: Namespace = createNamespace('far');
  #wires = 0;

  constructor() {
    after(() => {
      this.near.close();
      this.far.close();
    });
    enterNetns(this.near.path);
  }

  /** Lays one more wire, up and with addresses of both families that are usable at once. */
  addWire(): Wire {
    const n = ++this.#wires;
    const [name, farName] = [`near${n}`, `far${n}`];
    mustRun(['ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', farName, 'netns', this.far.name]);
    for (const [namespace, device, host] of [
      [this.near, name, 1],
      [this.far, farName, 2],
    ] as const) {
      const on = ['dev', device];
      mustRun(['ip', '-n', namespace.name, 'address', 'add', `198.18.${n}.${host}/24`, ...on]);
      mustRun(['ip', '-n', namespace.name, 'address', 'add', `2001:db8:${n}::${host}/64`, ...on, 'nodad']);
      mustRun(['ip', '-n', namespace.name, 'link', 'set', device, 'up']);
    }
    const ifindex = readInterface(name)?.ifindex;
    if (ifindex === undefined) throw new Error(`Cannot find "${name}"`);
    return { name, farName, ifindex, v4: `198.18.${n}.2`, v6: `2001:db8:${n}::2` };
  }
}

/**
 * Has the kernel cut joined packets behind the qdisc, just before they enter the near end, as for a card that can't:
 * then each frame of the counters is a segment. The stack goes on to make joined ones, and the qdisc sees those.
 */
export function switchOffTso(wire: Wire): void {
  const value = Buffer.alloc(8); // struct ethtool_value
  value.writeUInt32LE(ETHTOOL_STSO);
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(wire.name);
  request.writeBigUInt64LE(addressOf(value), 16);
  using socket = openSocket();
  if (libc.ioctl(socket.number, SIOCETHTOOL, request) < 0)
    throw new Error(`Cannot switch off TSO of ${wire.name}`);
}

/** What tc(8) shows of the qdiscs and classes of a wire, without its count of packets. */
export function showTc(wire: Wire): string {
  const shown = ['qdisc', 'class'].map((what) => mustRun(['tc', what, 'show', 'dev', wire.name]));
  return shown.join('').replaceAll(/direct_packets_stat \d+/gu, '');
}

/** Frames and their bytes, Ethernet header included, that came in on an interface of the process's namespace. */
export function readReceived(
  pid: number,
  farName: string,
): { readonly bytes: number; readonly frames: number } {
  const row = readFileSync(`/proc/${pid}/net/dev`, 'latin1')
    .split('\n')
    .find((line) => line.trim().startsWith(`${farName}:`));
  const [bytes, frames] = row?.split(':')[1]?.trim().split(/\s+/u).map(Number) ?? [];
  if (bytes === undefined || frames === undefined)
    throw new Error(`Cannot find ${farName} in /proc/${pid}/net/dev`);
  return { bytes, frames };
}

/** Frames and their bytes, Ethernet header included. */
export interface Count {
  readonly bytes: number;
  readonly frames: number;
}

/** Has nft count the datagrams that come in for each of `ports`. */
export function countPorts(namespace: Namespace, ports: readonly number[]): void {
  const counters = ports.map((port) => `counter port${port} {}`);
  const rules = ports.map((port) => `udp dport ${port} counter name port${port}`);
  const chain = ['chain arrivals {', 'type filter hook prerouting priority -300;', ...rules, '}'];
  namespace.must('nft', ['-f', '-'], { input: ['table inet lab {', ...counters, ...chain, '}'].join('\n') });
}

/** What `countPorts` has counted, by port. */
export function readPorts(namespace: Namespace): Map<number, Count> {
  const listed = namespace.must('nft', ['list', 'counters', 'table', 'inet', 'lab']);
  const rows = listed.matchAll(/counter port(\d+) \{\s*packets (\d+) bytes (\d+)/gu);
  return new Map(
    [...rows].map(([, port, packets, bytes]) => {
      const frames = Number(packets);
      return [Number(port), { frames, bytes: Number(bytes) + frames * ETHERNET_HEADER_BYTES }];
    }),
  );
}
