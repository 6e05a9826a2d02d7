import { decodeAttributes, decodeText, encodeText } from './attributes.ts';
import { changeRoute } from './change.ts';
import { dump } from './dump.ts';

/** A place of traffic control: handles and parents are MAJOR << 16 | MINOR. */
export interface TcPlace {
  readonly ifindex: number;
  /** Of a qdisc MAJOR:0, of a class MAJOR:MINOR; 0 lets the kernel choose. */
  readonly handle: number;
  readonly parent: number;
}

/** A qdisc or a class as the kernel tells it. */
export interface TcObject extends TcPlace {
  /** The kernel's word: htb, pfifo_fast, noqueue, … */
  readonly kind: string;
  /** TCA_OPTIONS, to be read by who knows the kind. */
  readonly options: Buffer;
}

/** TC_H_ROOT: the parent of a root qdisc and, of classes, of those right below it. */
export const ROOT = 0xffffffff;

const NETLINK_ROUTE = 0;
const RTM = {
  qdisc: { add: 36, delete: 37, get: 38, noun: 'qdisc' },
  class: { add: 40, delete: 41, get: 42, noun: 'class' },
};
const TCMSG_BYTES = 20;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;

/** Root qdisc of an interface of this thread's network namespace; `undefined` when it has none. Throws SystemError. */
export function findRootQdisc(ifindex: number): TcObject | undefined {
  const messages = dump('qdiscs', NETLINK_ROUTE, RTM.qdisc.get, Buffer.alloc(TCMSG_BYTES));
  return messages
    .map(({ payload }) => decodeTcObject(payload))
    .find((qdisc) => qdisc.ifindex === ifindex && qdisc.parent === ROOT);
}

/** The classes of an interface of this thread's network namespace, of all its qdiscs. Throws SystemError. */
export function listTcClasses(ifindex: number): TcObject[] {
  const request = encodeTcPlace({ ifindex, handle: 0, parent: 0 });
  const messages = dump('traffic classes', NETLINK_ROUTE, RTM.class.get, request);
  return messages.map(({ payload }) => decodeTcObject(payload));
}

/**
 * Makes or changes a qdisc or class; `flags` are of `Change`, `options` the attributes of its kind.
 * Throws SystemError (EEXIST, ENOENT: unknown kind, ENODEV), UnsupportedError without privilege.
 */
export function putTc(
  what: 'qdisc' | 'class',
  place: TcPlace,
  flags: number,
  kind: string,
  options: Buffer,
): void {
  const attributes = [encodeText(TCA_KIND, kind), options];
  const payload = Buffer.concat([encodeTcPlace(place), ...attributes]);
  changeRoute(`set ${kind} ${RTM[what].noun} of interface ${place.ifindex}`, RTM[what].add, flags, payload);
}

/** Removes what is at `place` with all below it. Throws SystemError (ENOENT, EINVAL: another handle), UnsupportedError. */
export function removeTc(what: 'qdisc' | 'class', place: TcPlace): void {
  changeRoute(
    `remove ${RTM[what].noun} of interface ${place.ifindex}`,
    RTM[what].delete,
    0,
    encodeTcPlace(place),
  );
}

/** struct tcmsg. */
export function encodeTcPlace(place: TcPlace): Buffer {
  const bytes = Buffer.alloc(TCMSG_BYTES);
  bytes.writeInt32LE(place.ifindex, 4);
  bytes.writeUInt32LE(place.handle, 8);
  bytes.writeUInt32LE(place.parent, 12);
  return bytes;
}

/** Reads struct tcmsg and its attributes. Throws RangeError when it is cut. */
export function decodeTcObject(payload: Buffer): TcObject {
  const attributes = decodeAttributes(payload.subarray(TCMSG_BYTES));
  return {
    ifindex: payload.readInt32LE(4),
    handle: payload.readUInt32LE(8),
    parent: payload.readUInt32LE(12),
    kind: decodeText(attributes.get(TCA_KIND) ?? Buffer.alloc(0)),
    options: attributes.get(TCA_OPTIONS) ?? Buffer.alloc(0),
  };
}
