import type { Resolver } from '../dns/resolver.ts';
import type { BpfMap } from '../libbpf/map.ts';
import { HOST_POLICY } from './compile.ts';
import type { DatapathState } from './state.ts';
import { encodeStruct } from './struct.ts';

/** An own address: 16 bytes, IPv4 as ::ffff:a.b.c.d, and the length of its prefix in its own family. */
export interface OwnAddress {
  readonly ifindex: number;
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

/** A session that somebody outside began; local and remote as seen from this host. */
export interface InboundSession {
  readonly local: Uint8Array;
  readonly localPort: number;
  readonly remote: Uint8Array;
  readonly remotePort: number;
  readonly l4Proto: number;
}

const ONLINK = new WeakMap<DatapathState, readonly Buffer[]>();
const PRESENT = Buffer.from([1, 0, 0, 0]);

/** Sets the host's own addresses and the prefixes on its links; those of before are taken out. */
export function setOwnAddresses(state: DatapathState, addresses: readonly OwnAddress[]): void {
  const own = addresses.map(({ address }) => Buffer.from(address));
  const onlink = addresses.map(({ ifindex, address, prefixLength }) =>
    encodeStruct('onlink_key', {
      prefix_bits: 32 + prefixLength + (isIpv4(address) ? 96 : 0),
      ifindex,
      addr: address,
    }),
  );
  replaceKeys(state.map('own_addresses'), own);
  // Iterating a trie is not sound before Linux 6.13, so what this process added is kept here. A prefix that an
  // earlier one added and that is gone lets neighbour discovery for it pass, and nothing else.
  const before = ONLINK.get(state) ?? [];
  const wanted = new Set(onlink.map((key) => key.toString('latin1')));
  for (const key of before) if (!wanted.has(key.toString('latin1'))) state.map('onlink').delete(key);
  ONLINK.set(state, onlink);
  for (const key of onlink) state.map('onlink').set(key, PRESENT);
}

/** The resolvers that policies trust, by policy id. */
export type Trusted = ReadonlyMap<number, readonly Resolver[]>;

/** Sets the resolvers that policies trust; those of before are taken out. */
export function setTrusted(state: DatapathState, trusted: Trusted): void {
  const keys = [...trusted].flatMap(([policy, resolvers]) =>
    resolvers.map(({ addr16, port }) =>
      encodeStruct('resolver_key', { addr: addr16, port_be: port, policy }),
    ),
  );
  replaceKeys(state.map('resolvers'), keys);
}

/** Sets the resolvers that the host's policy trusts, and nobody else any. */
export function setResolvers(state: DatapathState, resolvers: readonly Resolver[]): void {
  setTrusted(state, new Map([[HOST_POLICY, resolvers]]));
}

/** Sets the enforced interfaces, by index. */
export function setEnforced(state: DatapathState, ifindexes: readonly number[]): void {
  const keys = ifindexes.map((ifindex) => {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(ifindex);
    return key;
  });
  replaceKeys(state.map('enforced'), keys);
}

/** Lets the replies of a session pass that began before we did: those of the host, or of a subject. */
export function enterInbound(
  state: DatapathState,
  session: InboundSession,
  nowNs: bigint,
  policyId: number = HOST_POLICY,
): void {
  state.map('inbound').set(
    encodeStruct('flow_key', {
      local: session.local,
      remote: session.remote,
      local_port_be: session.localPort,
      remote_port_be: session.remotePort,
      policy: policyId,
      l4_proto: session.l4Proto,
    }),
    encodeStruct('inbound', { seen_ns: nowNs }),
  );
}

/* Adds first, then removes: what stays is there all the time. */
function replaceKeys(map: BpfMap, keys: readonly Buffer[]): void {
  const wanted = new Set(keys.map((key) => key.toString('latin1')));
  for (const key of keys) map.set(key, PRESENT);
  const stale = [...map.entries()].map(([key]) => Buffer.from(key));
  for (const key of stale) if (!wanted.has(key.toString('latin1'))) map.delete(key);
}

function isIpv4(address: Uint8Array): boolean {
  return address.subarray(0, 10).every((byte) => byte === 0) && address[10] === 0xff && address[11] === 0xff;
}
