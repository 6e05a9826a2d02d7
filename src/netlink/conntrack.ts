import { existsSync, readFileSync } from 'node:fs';
import { SystemError } from '../errors.ts';
import { type Attributes, decodeAddress, decodeAttributes } from './attributes.ts';
import { dump } from './dump.ts';

/** One direction of a tracked connection. Addresses are 16 bytes; ports are 0 where the protocol has none. */
export interface Tuple {
  readonly source: Buffer;
  readonly sourcePort: number;
  readonly destination: Buffer;
  readonly destinationPort: number;
}

/** A connection the kernel tracks: `original` is the direction of its first packet, `reply` as NAT has changed it. */
export interface Tracked {
  readonly l4Proto: number;
  readonly original: Tuple;
  readonly reply: Tuple;
}

/* No nfnetlink: the socket can't be made. No ctnetlink: the message is unknown. */
const ABSENT = new Set(['EPROTONOSUPPORT', 'EINVAL', 'ENOTSUP']);

/* Documentation/networking/nf_conntrack-sysctl.rst */
const COUNT = '/proc/sys/net/netfilter/nf_conntrack_count';
const NETLINK_NETFILTER = 12;
/* NFNL_SUBSYS_CTNETLINK and IPCTNL_MSG_CT_GET */
const CT_GET = (1 << 8) | 1;
const NFGENMSG_BYTES = 4;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;

/** What the kernel tracks in this thread's network namespace; nothing when it has no conntrack. Throws SystemError. */
export function listConntrack(): Tracked[] {
  if (!tracksAny()) return [];
  try {
    const messages = dump('tracked connections', NETLINK_NETFILTER, CT_GET, Buffer.alloc(NFGENMSG_BYTES));
    return messages.flatMap(({ payload }) => decodeTracked(payload) ?? []);
  } catch (thrown) {
    if (isAbsent(thrown)) return [];
    throw thrown;
  }
}

/** Reads struct nfgenmsg and its attributes; `undefined` when a tuple or its addresses are not in it. */
export function decodeTracked(payload: Buffer): Tracked | undefined {
  const attributes = decodeAttributes(payload.subarray(NFGENMSG_BYTES));
  const original = attributes.get(CTA_TUPLE_ORIG);
  const reply = attributes.get(CTA_TUPLE_REPLY);
  if (original === undefined || reply === undefined) return undefined;
  const [there, back] = [decodeTuple(original), decodeTuple(reply)];
  if (there === undefined || back === undefined) return undefined;
  return { l4Proto: there.l4Proto, original: there.tuple, reply: back.tuple };
}

/* A dump walks a table of all namespaces, of a quarter million places. Of this thread's namespace, as all of /proc/sys/net. */
function tracksAny(): boolean {
  try {
    return Number(readFileSync(COUNT, 'latin1')) > 0;
  } catch {
    return !existsSync('/proc/sys/net'); // no such file: conntrack is not loaded, unless all of /proc/sys is hidden
  }
}

function decodeTuple(bytes: Buffer): { l4Proto: number; tuple: Tuple } | undefined {
  const parts = decodeAttributes(bytes);
  const addresses = nested(parts, CTA_TUPLE_IP);
  const protocol = nested(parts, CTA_TUPLE_PROTO);
  const source = addresses.get(CTA_IP_V4_SRC) ?? addresses.get(CTA_IP_V6_SRC);
  const destination = addresses.get(CTA_IP_V4_DST) ?? addresses.get(CTA_IP_V6_DST);
  const l4Proto = protocol.get(CTA_PROTO_NUM)?.readUInt8(0);
  if (source === undefined || destination === undefined || l4Proto === undefined) return undefined;
  const tuple = {
    source: decodeAddress(source),
    sourcePort: protocol.get(CTA_PROTO_SRC_PORT)?.readUInt16BE(0) ?? 0,
    destination: decodeAddress(destination),
    destinationPort: protocol.get(CTA_PROTO_DST_PORT)?.readUInt16BE(0) ?? 0,
  };
  return { l4Proto, tuple };
}

function nested(attributes: Attributes, attributeType: number): Attributes {
  return decodeAttributes(attributes.get(attributeType) ?? Buffer.alloc(0));
}

function isAbsent(thrown: unknown): boolean {
  return thrown instanceof SystemError && ABSENT.has(thrown.code);
}
