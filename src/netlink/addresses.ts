import { openNetlinkGroup } from '../libbpf/netlink-group.ts';
import { decodeAddress, decodeAttributes } from './attributes.ts';
import { dump } from './dump.ts';

/** An address of an interface: 16 bytes, IPv4 as ::ffff:a.b.c.d; `prefixLength` counts bits of its own family. */
export interface InterfaceAddress {
  readonly ifindex: number;
  readonly family: 4 | 6;
  readonly address: Buffer;
  readonly prefixLength: number;
}

const NETLINK_ROUTE = 0;
const RTNLGRP_IPV4_IFADDR = 5;
const RTNLGRP_IPV6_IFADDR = 9;
const RTM_GETADDR = 22;
const IFADDR_BYTES = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const AF_INET = 2;
const AF_INET6 = 10;

/** All addresses of this thread's network namespace. Throws SystemError. */
export function listAddresses(): InterfaceAddress[] {
  const messages = dump('addresses', NETLINK_ROUTE, RTM_GETADDR, Buffer.alloc(IFADDR_BYTES));
  return messages.flatMap(({ payload }) => decodeInterfaceAddress(payload) ?? []);
}

/** Reads struct ifaddrmsg and its attributes; `undefined` for a family other than IPv4 and IPv6. */
export function decodeInterfaceAddress(payload: Buffer): InterfaceAddress | undefined {
  const family = payload.readUInt8(0);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const attributes = decodeAttributes(payload.subarray(IFADDR_BYTES));
  // On a point-to-point link IFA_ADDRESS is the other end's.
  const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (address === undefined) return undefined;
  return {
    ifindex: payload.readUInt32LE(4),
    family: family === AF_INET ? 4 : 6,
    address: decodeAddress(address),
    prefixLength: payload.readUInt8(1),
  };
}

/** Owns a subscription to the addresses of this thread's network namespace: calls back whenever they change. */
export function watchAddresses(onChange: () => void): Disposable {
  const groups = [RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR].map((group) =>
    openNetlinkGroup(NETLINK_ROUTE, group, onChange),
  );
  return {
    [Symbol.dispose]() {
      for (const group of groups) group.close();
    },
  };
}
