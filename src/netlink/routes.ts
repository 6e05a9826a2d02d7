import { decodeAttributes } from './attributes.ts';
import { dump } from './dump.ts';

/** A way out of the host: a default route of the main table, one for each of its next hops. */
export interface DefaultRoute {
  readonly family: 4 | 6;
  readonly ifindex: number;
  /** Lower is taken first. */
  readonly metric: number;
}

const NETLINK_ROUTE = 0;
const RTM_GETROUTE = 26;
const RTMSG_BYTES = 12;
const RT_TABLE_MAIN = 254;
const RTN_UNICAST = 1;
const RTA_OIF = 4;
const RTA_PRIORITY = 6;
const RTA_MULTIPATH = 9;
const AF_INET = 2;
const AF_INET6 = 10;

/** The default routes of this thread's network namespace, lowest metric first. Throws SystemError. */
export function listDefaultRoutes(): DefaultRoute[] {
  const messages = dump('routes', NETLINK_ROUTE, RTM_GETROUTE, Buffer.alloc(RTMSG_BYTES));
  const routes = messages.flatMap(({ payload }) => decodeDefaultRoute(payload));
  return routes.sort((a, b) => a.metric - b.metric);
}

/** Reads struct rtmsg and its attributes; empty when it is no default route of the main table. */
export function decodeDefaultRoute(payload: Buffer): DefaultRoute[] {
  const family = payload.readUInt8(0);
  if (family !== AF_INET && family !== AF_INET6) return [];
  const [prefixLength, table, routeType] = [payload.readUInt8(1), payload.readUInt8(4), payload.readUInt8(7)];
  if (prefixLength !== 0 || table !== RT_TABLE_MAIN || routeType !== RTN_UNICAST) return [];
  const attributes = decodeAttributes(payload.subarray(RTMSG_BYTES));
  const metric = attributes.get(RTA_PRIORITY)?.readUInt32LE(0) ?? 0;
  const own = attributes.get(RTA_OIF)?.readInt32LE(0);
  const hops = own === undefined ? decodeNextHops(attributes.get(RTA_MULTIPATH)) : [own];
  return hops.map((ifindex) => ({ family: family === AF_INET ? 4 : 6, ifindex, metric }));
}

/* struct rtnexthop: length, flags, weight, interface; then attributes. */
function decodeNextHops(bytes: Buffer = Buffer.alloc(0)): number[] {
  const hops: number[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    hops.push(bytes.readInt32LE(at + 4));
    at += Math.max(8, (bytes.readUInt16LE(at) + 3) & ~3);
  }
  return hops;
}
