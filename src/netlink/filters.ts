import { decodeAttributes, decodeText } from './attributes.ts';
import { dump } from './dump.ts';
import type { Message } from './message.ts';

const NETLINK_ROUTE = 0;
const RTM_GETQDISC = 38;
const RTM_GETTFILTER = 46;
const TCMSG_BYTES = 20;
const TC_H_CLSACT = 0xfffffff1;
/* TC_H_CLSACT with TC_H_MIN_INGRESS and TC_H_MIN_EGRESS */
const PARENTS = { ingress: 0xfffffff2, egress: 0xfffffff3 };

const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_ID = 11;

/** A filter of anybody's: its classifier, such as `bpf` or `flower`, and of `bpf` the program's id. */
export interface TcFilter {
  readonly classifier: string;
  readonly programId?: number;
}

/**
 * The filters on one side of clsact of an interface of this thread's network namespace, first to run first. Throws
 * SystemError (ENODEV).
 */
export function listFilters(ifindex: number, direction: 'ingress' | 'egress'): TcFilter[] {
  const ordered = filtersBelow(ifindex, PARENTS[direction]).map(({ payload }) => {
    const attributes = decodeAttributes(payload.subarray(TCMSG_BYTES));
    const classifier = decodeText(attributes.get(TCA_KIND) ?? Buffer.alloc(0));
    const options = attributes.get(TCA_OPTIONS);
    const id = options && classifier === 'bpf' ? decodeAttributes(options).get(TCA_BPF_ID) : undefined;
    const priority = payload.readUInt32LE(16) >>> 16;
    return { priority, filter: { classifier, ...(id && { programId: id.readUInt32LE() }) } };
  });
  return ordered.sort((a, b) => a.priority - b.priority).map(({ filter }) => filter);
}

/** Whether an interface of this thread's network namespace has a qdisc for filters, clsact or ingress. Throws SystemError. */
export function hasFilterQdisc(ifindex: number): boolean {
  return dump('qdiscs', NETLINK_ROUTE, RTM_GETQDISC, Buffer.alloc(TCMSG_BYTES)).some(
    ({ payload }) => payload.readInt32LE(4) === ifindex && payload.readUInt32LE(12) === TC_H_CLSACT,
  );
}

/**
 * How many filters of anybody's are on clsact of an interface of this thread's network namespace, so that a
 * qdisc that still serves others is left alone; 0 when there is no clsact. Throws SystemError (ENODEV).
 */
export function countFilters(ifindex: number): number {
  const counts = [PARENTS.ingress, PARENTS.egress].map((parent) => filtersBelow(ifindex, parent).length);
  return counts.reduce((sum, count) => sum + count, 0);
}

function filtersBelow(ifindex: number, parent: number): Message[] {
  const request = Buffer.alloc(TCMSG_BYTES); // struct tcmsg
  request.writeInt32LE(ifindex, 4);
  request.writeUInt32LE(parent, 12);
  const messages = dump('tc filters', NETLINK_ROUTE, RTM_GETTFILTER, request);
  // Each priority has an entry of its own, with handle 0, before the filters in it.
  return messages.filter(({ payload }) => payload.readUInt32LE(8) !== 0);
}
