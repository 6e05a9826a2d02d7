import { decodeName } from '../dns/wire-name.ts';
import { SystemError } from '../errors.ts';
import type { Traffic } from '../flow/event.ts';
import { Protocol } from '../flow/protocol.ts';
import { REASONS, type Reason, UNPARSED, type Unparsed, VERDICTS, type Verdict } from '../flow/reason.ts';
import { ENUMS, LAYOUT, LIMITS } from './layout.ts';

/** Who called. `startedNs` (boot time), `pid` and `execId` are the key of what it executes. */
export interface RawProcess {
  readonly pid: number;
  readonly uid: number;
  readonly comm: string;
  readonly startedNs: bigint;
  readonly execId: number;
  readonly cgroupId: bigint;
}

/**
 * What the kernel tells, before numbers have found their names. Addresses are 16 bytes, IPv4 as
 * ::ffff:a.b.c.d, and copies. `bootNs` is boot time, `ruleId` 0 no rule, `count` what the event stands
 * for within `windowMs`. In a DNS event local is the client and remote the resolver.
 */
interface RawHead {
  readonly bootNs: bigint;
  readonly count: number;
  readonly windowMs: number;
  readonly ifindex: number;
  readonly ruleId: number;
  readonly policyId: number;
  readonly verdict: Verdict;
  readonly reason: Reason;
  readonly l4Proto: number;
  readonly etherType: number;
  readonly local: Uint8Array<ArrayBuffer>;
  readonly localPort: number;
  readonly remote: Uint8Array<ArrayBuffer>;
  readonly remotePort: number;
  readonly process?: RawProcess;
}

/** A `struct event`, or an `end_event`. ICMP has a type; the identifier of an echo is its `localPort`. */
export interface RawFlowEvent extends RawHead {
  readonly kind: 'flow';
  readonly icmpType?: number;
  readonly traffic?: Traffic;
}

/** A `struct dns_event`. `qname` in the text form of `decodeName`; absent where it could not be read. */
export interface RawDnsEvent extends RawHead {
  readonly kind: 'dns';
  readonly qname?: string;
  readonly qtype: number;
  readonly rcode: number;
  readonly unparsed?: Unparsed;
  readonly addresses: readonly Uint8Array<ArrayBuffer>[];
}

/** A record of the ring. */
export type RawEvent = RawFlowEvent | RawDnsEvent;

type Field = readonly [offset: number, bytes: number];

const { fields } = LAYOUT.event;
const { name: nameField } = LAYOUT.dns_event.fields;
const ADDR_BYTES = LAYOUT.addr.size;
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
const COMM = new TextDecoder('utf-8');

/**
 * Decodes a record of the ring, which the result does not refer to.
 * Throws SystemError EBADMSG for one that is not of the shape of this layout version.
 */
export function decodeEvent(bytes: Uint8Array | DataView): RawEvent {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < LAYOUT.event.size) throw malformed(view, 'too short');
  const kind = readNumber(view, fields.kind);
  if (kind === ENUMS.event_kind.EVENT_FLOW) return decodeFlow(view);
  if (kind === ENUMS.event_kind.EVENT_DNS) return decodeDns(view);
  throw malformed(view, `kind ${kind}`);
}

function decodeFlow(view: DataView): RawFlowEvent {
  const head = decodeHead(view);
  const isEnd = head.reason === 'ended';
  const size = isEnd ? LAYOUT.end_event.size : LAYOUT.event.size;
  if (view.byteLength !== size) throw malformed(view, 'a flow event of another size');
  const isIcmp = head.l4Proto === Protocol.icmp || head.l4Proto === Protocol.icmpv6;
  return {
    kind: 'flow',
    ...head,
    ...(isIcmp && { icmpType: readNumber(view, fields.detail) }),
    ...(isEnd && { traffic: decodeTraffic(view) }),
  };
}

function decodeTraffic(view: DataView): Traffic {
  const { bytes, packets, bytes_in, packets_in, has_in } = LAYOUT.end_event.fields;
  const wide = ([offset]: Field) => Number(view.getBigUint64(offset, IS_LITTLE_ENDIAN));
  const out = { bytes: wide(bytes), packets: wide(packets) };
  if (readNumber(view, has_in) === 0) return out;
  return { ...out, bytesIn: wide(bytes_in), packetsIn: wide(packets_in) };
}

function decodeDns(view: DataView): RawDnsEvent {
  const nAddrs = readNumber(view, fields.n_addrs);
  const nameLength = readNumber(view, fields.name_length);
  if (nameLength > LIMITS.MAX_NAME) throw malformed(view, `a name of ${nameLength} bytes`);
  const addrsAt = nameField[0] + ((nameLength + 7) & ~7);
  if (nAddrs > LIMITS.MAX_EVENT_ADDRS || view.byteLength !== addrsAt + nAddrs * ADDR_BYTES) {
    throw malformed(view, `${nAddrs} addresses`);
  }
  const qname = decodeName(copy(view, nameField[0], nameLength));
  const unparsed = UNPARSED[readNumber(view, fields.detail)];
  return {
    kind: 'dns',
    ...decodeHead(view),
    ...(qname !== undefined && { qname }),
    qtype: readNumber(view, fields.qtype),
    rcode: readNumber(view, fields.rcode),
    ...(unparsed !== undefined && { unparsed }),
    addresses: Array.from({ length: nAddrs }, (_, index) =>
      copy(view, addrsAt + index * ADDR_BYTES, ADDR_BYTES),
    ),
  };
}

function decodeHead(view: DataView): RawHead {
  const verdict = VERDICTS[readNumber(view, fields.verdict)];
  const reason = REASONS[readNumber(view, fields.reason)];
  if (!verdict) throw malformed(view, `verdict ${readNumber(view, fields.verdict)}`);
  if (!reason) throw malformed(view, `reason ${readNumber(view, fields.reason)}`);
  const process = decodeProcess(view);
  return {
    bootNs: view.getBigUint64(fields.boot_ns[0], IS_LITTLE_ENDIAN),
    count: Number(view.getBigUint64(fields.count[0], IS_LITTLE_ENDIAN)),
    windowMs: readNumber(view, fields.window_ms),
    ifindex: readNumber(view, fields.ifindex),
    ruleId: readNumber(view, fields.rule),
    policyId: readNumber(view, fields.policy),
    verdict,
    reason,
    l4Proto: readNumber(view, fields.l4_proto),
    etherType: readNumber(view, fields.ether_type),
    local: copy(view, ...fields.local),
    localPort: view.getUint16(fields.local_port_be[0]),
    remote: copy(view, ...fields.remote),
    remotePort: view.getUint16(fields.remote_port_be[0]),
    ...(process && { process }),
  };
}

function decodeProcess(view: DataView): RawProcess | undefined {
  return readProcess(view, fields);
}

/** A `struct proc`; `undefined` for one of no process. */
export function decodeProc(bytes: Uint8Array): RawProcess | undefined {
  return readProcess(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), LAYOUT.proc.fields);
}

type ProcessField = 'pid' | 'uid' | 'comm' | 'started_ns' | 'exec_id' | 'cgroup_id';

function readProcess(view: DataView, at: { readonly [name in ProcessField]: Field }): RawProcess | undefined {
  const pid = readNumber(view, at.pid);
  if (pid === 0) return undefined;
  const comm = copy(view, ...at.comm);
  const end = comm.indexOf(0);
  return {
    pid,
    uid: readNumber(view, at.uid),
    comm: COMM.decode(end < 0 ? comm : comm.subarray(0, end)),
    startedNs: view.getBigUint64(at.started_ns[0], IS_LITTLE_ENDIAN),
    execId: readNumber(view, at.exec_id),
    cgroupId: view.getBigUint64(at.cgroup_id[0], IS_LITTLE_ENDIAN),
  };
}

function readNumber(view: DataView, [offset, bytes]: Field): number {
  switch (bytes) {
    case 1:
      return view.getUint8(offset);
    case 2:
      return view.getUint16(offset, IS_LITTLE_ENDIAN);
    default:
      return view.getUint32(offset, IS_LITTLE_ENDIAN);
  }
}

function copy(view: DataView, offset: number, bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint8Array(view.buffer, view.byteOffset + offset, bytes));
}

function malformed(view: DataView, what: string): SystemError {
  return new SystemError(`decode an event of ${view.byteLength} bytes with ${what}`, 'EBADMSG');
}
