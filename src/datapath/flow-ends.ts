import { Protocol } from '../flow/protocol.ts';
import type { Batch } from '../libbpf/map-batches.ts';
import { decodeProc, type RawFlowEvent, type RawProcess } from './event.ts';
import { LAYOUT, LIMITS } from './layout.ts';
import type { MapSource } from './state.ts';
import { placeOf, readBytes, readField, readWide } from './struct.ts';

const ETHER_TYPE_IPV4 = 0x0800;
const ETHER_TYPE_IPV6 = 0x86dd;
/** As bpf/flow.h has them. */
const UDP_IDLE_NS = 60_000_000_000n;
const FIN_IDLE_NS = 120_000_000_000n;

const KEY_BYTES = LAYOUT.flow_key.size;
const VALUE_BYTES = LAYOUT.flow.size;
const PROTO_AT = placeOf('flow_key', 'l4_proto')[0];

/** Whether the kernel would not let another packet pass as one of this flow. `nowNs`: monotonic clock. */
export function isIdle(key: Buffer, value: Buffer, nowNs: bigint): boolean {
  const isTcp = key.readUInt8(PROTO_AT) === Protocol.tcp;
  // A connection that has not ended is never idle.
  if (isTcp && (readField(value, 'flow', 'flags') & LIMITS.FLOW_FIN) === 0) return false;
  return nowNs - readWide(value, 'flow', 'seen_ns') > (isTcp ? FIN_IDLE_NS : UDP_IDLE_NS);
}

/** The keys of a batch of flows that are idle. */
export function idleKeys({ keys, values, count }: Batch, nowNs: bigint): Buffer[] {
  const key = (i: number) => keys.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES);
  const value = (i: number) => values.subarray(i * VALUE_BYTES, (i + 1) * VALUE_BYTES);
  const idle: Buffer[] = [];
  for (let i = 0; i < count; i++) if (isIdle(key(i), value(i), nowNs)) idle.push(key(i));
  return idle;
}

/** The end of a flow; `undefined` where it was told, or its socket tells it. `bootNs`: now, boot time. */
export function endOf(maps: MapSource, key: Buffer, value: Buffer, bootNs: bigint): RawFlowEvent | undefined {
  const l4Proto = readField(key, 'flow_key', 'l4_proto');
  const told = LIMITS.FLOW_OF_SOCKET | LIMITS.FLOW_TOLD;
  if ((readField(value, 'flow', 'flags') & told) !== 0) return undefined;
  const remote = readBytes(key, 'flow_key', 'remote');
  const remotePort = readField(key, 'flow_key', 'remote_port_be');
  const isIcmp = l4Proto === Protocol.icmp || l4Proto === Protocol.icmpv6;
  const process = findProcess(maps, readWide(value, 'flow', 'socket_cookie'));
  return {
    kind: 'flow',
    bootNs,
    count: 1,
    windowMs: 0,
    ifindex: readField(value, 'flow', 'ifindex'),
    ruleId: readField(value, 'flow', 'rule'),
    policyId: readField(key, 'flow_key', 'policy'),
    verdict: 'allow',
    reason: 'ended',
    l4Proto,
    etherType: isMapped(remote) ? ETHER_TYPE_IPV4 : ETHER_TYPE_IPV6,
    local: readBytes(key, 'flow_key', 'local'),
    localPort: readField(key, 'flow_key', 'local_port_be'),
    remote,
    remotePort: isIcmp ? 0 : remotePort,
    ...(isIcmp && { icmpType: remotePort }),
    ...(process && { process }),
    traffic: {
      bytes: Number(readWide(value, 'flow', 'bytes')),
      packets: Number(readWide(value, 'flow', 'packets')),
    },
  };
}

function findProcess(maps: MapSource, cookie: bigint): RawProcess | undefined {
  if (cookie === 0n) return undefined;
  const key = Buffer.alloc(8);
  key.writeBigUInt64LE(cookie);
  const value = maps.map('procs').get(key);
  return value && decodeProc(value);
}

function isMapped(addr16: Uint8Array): boolean {
  return addr16[10] === 0xff && addr16[11] === 0xff && addr16.subarray(0, 10).every((byte) => byte === 0);
}
