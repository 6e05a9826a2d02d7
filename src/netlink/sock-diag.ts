import { SystemError } from '../errors.ts';
import { decodeAddress } from './attributes.ts';
import { change } from './change.ts';
import { ask, dump } from './dump.ts';

/** A socket of the kernel's list. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d; zero when there is none. */
export interface DiagSocket {
  readonly family: 4 | 6;
  /** enum of net/tcp_states.h, see `TcpState`; a UDP socket is established when it is connected, else closed. */
  readonly state: number;
  readonly local: Buffer;
  readonly localPort: number;
  readonly remote: Buffer;
  readonly remotePort: number;
  /** Interface it is bound to; 0 = any. */
  readonly ifindex: number;
  /** 0 for sockets that no process holds, such as those in TIME-WAIT. */
  readonly inode: number;
  readonly uid: number;
}

/** States in use, net/tcp_states.h. */
export const TcpState = { established: 1, synSent: 2, synReceived: 3, timeWait: 6, closed: 7, listen: 10 };

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const REQUEST_BYTES = 56;
/** In struct inet_diag_req_v2, and in struct inet_diag_msg. */
const COOKIE_OFFSET = 48;
const MESSAGE_COOKIE_OFFSET = 44;
const MESSAGE_BYTES = 72;
const ALL_STATES = 0xffffffff;
/** ESTALE: the cookie is another's by now. */
const GONE = new Set(['ENOENT', 'ESTALE', 'EOPNOTSUPP', 'EINVAL']);
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const AF_INET = 2;
const AF_INET6 = 10;

/** All TCP sockets of this thread's network namespace. Throws SystemError. */
export function listTcpSockets(): DiagSocket[] {
  return listSockets(IPPROTO_TCP);
}

/** All UDP sockets of this thread's network namespace. Throws SystemError. */
export function listUdpSockets(): DiagSocket[] {
  return listSockets(IPPROTO_UDP);
}

/** Sockets of this thread's network namespace to which anybody may send, with no other end of their own. Throws SystemError. */
export function listServing(l4Proto: 'tcp' | 'udp'): DiagSocket[] {
  return l4Proto === 'tcp'
    ? listSockets(IPPROTO_TCP, 1 << TcpState.listen)
    : listSockets(IPPROTO_UDP, 1 << TcpState.closed);
}

/** Both ends of a connection. */
export interface Connection {
  readonly local: Uint8Array;
  readonly localPort: number;
  readonly remote: Uint8Array;
  readonly remotePort: number;
}

/**
 * Ends a TCP connection of this thread's network namespace: its program gets ECONNABORTED. False when there is no
 * such socket, or the kernel can't (CONFIG_INET_DIAG_DESTROY). Throws SystemError.
 */
export function destroyTcpSocket({ local, localPort, remote, remotePort }: Connection): boolean {
  const isIpv4 = isMapped(remote);
  const request = Buffer.alloc(REQUEST_BYTES); // struct inet_diag_req_v2
  request.writeUInt8(isIpv4 ? AF_INET : AF_INET6, 0);
  request.writeUInt8(IPPROTO_TCP, 1);
  request.writeUInt32LE(ALL_STATES, 4);
  request.writeUInt16BE(localPort, 8); // struct inet_diag_sockid
  request.writeUInt16BE(remotePort, 10);
  request.set(isIpv4 ? local.subarray(12) : local, 12);
  request.set(isIpv4 ? remote.subarray(12) : remote, 28);
  const cookie = cookieOfConnection(request);
  if (!cookie) return false;
  request.set(cookie, COOKIE_OFFSET);
  try {
    change('end a TCP connection', NETLINK_SOCK_DIAG, SOCK_DESTROY, 0, request);
    return true;
  } catch (thrown) {
    if (thrown instanceof SystemError && GONE.has(thrown.code)) return false;
    throw thrown;
  }
}

/*
 * Where there is no such connection the kernel finds the server of the port, and would end that: so it is asked what it
 * finds, and ends that very socket, by its cookie.
 */
function cookieOfConnection(request: Buffer): Buffer | undefined {
  const question = Buffer.from(request);
  question.fill(0xff, COOKIE_OFFSET, COOKIE_OFFSET + 8); // INET_DIAG_NOCOOKIE
  const found = ask('find a TCP connection', NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, question);
  const socket = found && decodeDiagSocket(found.payload);
  if (!found || !socket || socket.state === TcpState.listen) return undefined;
  return found.payload.subarray(MESSAGE_COOKIE_OFFSET, MESSAGE_COOKIE_OFFSET + 8);
}

function isMapped(addr16: Uint8Array): boolean {
  return addr16[10] === 0xff && addr16[11] === 0xff && addr16.subarray(0, 10).every((byte) => byte === 0);
}

/** Reads struct inet_diag_msg; `undefined` for a family other than IPv4 and IPv6, or a short message. */
export function decodeDiagSocket(payload: Buffer): DiagSocket | undefined {
  if (payload.length < MESSAGE_BYTES) return undefined;
  const family = payload.readUInt8(0);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const addressBytes = family === AF_INET ? 4 : 16;
  return {
    family: family === AF_INET ? 4 : 6,
    state: payload.readUInt8(1),
    local: decodeAddress(payload.subarray(8, 8 + addressBytes)),
    localPort: payload.readUInt16BE(4),
    remote: decodeAddress(payload.subarray(24, 24 + addressBytes)),
    remotePort: payload.readUInt16BE(6),
    ifindex: payload.readUInt32LE(40),
    uid: payload.readUInt32LE(64),
    inode: payload.readUInt32LE(68),
  };
}

function listSockets(l4Proto: number, states: number = ALL_STATES): DiagSocket[] {
  const lists = [AF_INET, AF_INET6].map((family) => listFamily(family, l4Proto, states));
  return lists.flat();
}

function listFamily(family: number, l4Proto: number, states: number): DiagSocket[] {
  const request = Buffer.alloc(REQUEST_BYTES); // struct inet_diag_req_v2
  request.writeUInt8(family, 0);
  request.writeUInt8(l4Proto, 1);
  request.writeUInt32LE(states, 4);
  const messages = dump('sockets', NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, request);
  return messages.flatMap(({ payload }) => decodeDiagSocket(payload) ?? []);
}
