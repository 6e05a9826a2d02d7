import { type NetlinkEvent, type NetlinkGroup, openNetlinkGroup } from '../libbpf/netlink-group.ts';
import { decodeAttributes, decodeText } from './attributes.ts';
import { dump } from './dump.ts';
import { decodeMessages } from './message.ts';

/**
 * A network interface. `kind` is the kernel's word for a virtual one (veth, bridge, vlan, …), `arphrd` its kind
 * of hardware (1 Ethernet, 772 loopback, 65534 none).
 */
export interface Link {
  readonly ifindex: number;
  readonly name: string;
  readonly kind: string | undefined;
  readonly arphrd: number;
  readonly up: boolean;
  readonly masterIfindex: number | undefined;
  /** Bytes of the largest IP packet. */
  readonly mtu: number;
}

/** What befell the links. After `overrun` some events are lost: list again. */
export type LinkEvent =
  | { readonly kind: 'new'; readonly link: Link }
  | { readonly kind: 'deleted'; readonly link: Link }
  | { readonly kind: 'overrun' };

const NETLINK_ROUTE = 0;
const RTM_GETLINK = 18;
const RTNLGRP_LINK = 1;
const KINDS = new Map<number, 'new' | 'deleted'>([
  [16, 'new'],
  [17, 'deleted'],
]);
const OVERRUN: LinkEvent = { kind: 'overrun' };
const IFINFO_BYTES = 16;
const IFF_UP = 1;
const AF_UNSPEC = 0;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;

/** All links of this thread's network namespace. Throws SystemError. */
export function listLinks(): Link[] {
  const messages = dump('links', NETLINK_ROUTE, RTM_GETLINK, Buffer.alloc(IFINFO_BYTES));
  return messages.flatMap(({ payload }) => decodeLink(payload) ?? []);
}

/**
 * Calls `onEvent` for each change of a link of this thread's network namespace: `new` also for a change of one
 * that was there. Subscribed when it returns, so what is listed after that misses nothing.
 * Keeps the event loop alive until the caller closes it. `receiveBytes` bounds what may wait to be read.
 * Throws SystemError, UnsupportedError without CAP_NET_ADMIN.
 */
export function watchLinks(
  onEvent: (event: LinkEvent) => void,
  options: { readonly receiveBytes?: number } = {},
): NetlinkGroup {
  const onReceived = (received: NetlinkEvent) => {
    const events = received.kind === 'lost' ? [OVERRUN] : decodeLinkEvents(received.bytes);
    for (const event of events) onEvent(event);
  };
  return openNetlinkGroup(NETLINK_ROUTE, RTNLGRP_LINK, onReceived, options);
}

/** Reads the messages of a datagram of RTNLGRP_LINK; one that can't be read counts as lost. */
export function decodeLinkEvents(datagram: Buffer): LinkEvent[] {
  try {
    return decodeMessages(datagram).flatMap(({ messageType, payload }) => {
      const kind = KINDS.get(messageType);
      const link = kind && decodeLink(payload);
      return kind && link ? [{ kind, link }] : [];
    });
  } catch (thrown) {
    if (thrown instanceof RangeError) return [OVERRUN];
    throw thrown;
  }
}

/**
 * Reads struct ifinfomsg and its attributes.
 * `undefined` for another family: a port that leaves a bridge is a "deleted" link of AF_BRIDGE.
 */
export function decodeLink(payload: Buffer): Link | undefined {
  if (payload.readUInt8(0) !== AF_UNSPEC) return undefined;
  const attributes = decodeAttributes(payload.subarray(IFINFO_BYTES));
  const linkInfo = attributes.get(IFLA_LINKINFO);
  const kind = linkInfo && decodeAttributes(linkInfo).get(IFLA_INFO_KIND);
  return {
    ifindex: payload.readInt32LE(4),
    name: decodeText(attributes.get(IFLA_IFNAME) ?? Buffer.alloc(0)),
    kind: kind && decodeText(kind),
    arphrd: payload.readUInt16LE(2),
    up: (payload.readUInt32LE(8) & IFF_UP) !== 0,
    masterIfindex: attributes.get(IFLA_MASTER)?.readUInt32LE(0),
    mtu: attributes.get(IFLA_MTU)?.readUInt32LE(0) ?? 0,
  };
}
