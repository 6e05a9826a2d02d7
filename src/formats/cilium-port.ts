import type { PortRange } from '../policy/port.ts';
import { leaveOut } from './leave-out.ts';
import type { MapValue, Value } from './value.ts';

const MAX_PORT = 65_535;
const TRANSPORTS: ReadonlyMap<string, readonly number[]> = new Map([
  ['TCP', [6]],
  ['UDP', [17]],
  ['SCTP', [132]],
  ['ANY', [6, 17, 132]],
  ['', [6, 17, 132]],
]);
/** Protocols without ports, which Cilium reads only where its agent is told to. */
const EXTENDED = ['VRRP', 'IGMP', 'GRE', 'IPIP', 'IPV6', 'ESP', 'AH'];
/** A name of a port (RFC 6335), as pkg/iana has it. */
const SERVICE = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*$/iu;

/** An entry of `ports`, by protocol; none when it is left out. */
export function readPort(value: Value, action: 'allow' | 'deny'): PortRange[] {
  const map = value.map('a map with "port", "endPort" and "protocol" is legal');
  if (!map) return [];
  const l4Protos = readProtocol(map, action);
  const port = map.require('port', 'a port such as "443" is legal');
  const endPort = map.getNonNull('endPort');
  map.end();
  const text = port?.scalarText('a port such as "443" is legal');
  const last = endPort?.integer(0, MAX_PORT);
  if (!port || text === undefined || (endPort && last === undefined)) return [];
  if (SERVICE.test(text) && !/^\d+$/u.test(text))
    return leaveOut(port, `is "${text}", the name of a port of a pod`, action) ?? [];
  const number = /^(?:0|[1-9]\d{0,4})$/u.test(text) ? Number(text) : MAX_PORT + 1;
  if (number > MAX_PORT) return port.error(`is "${text}": "1" to "65535", or "0" for all, is legal`) ?? [];
  if (number === 0) {
    if (last) endPort?.error('stands beside port "0", which is all ports: leave one out');
    return l4Protos.map((l4Proto) => ({ l4Proto, low: 0, high: MAX_PORT }));
  }
  if (last && last < number) endPort?.error(`is ${last}: ${number} to ${MAX_PORT} is legal`);
  return l4Protos.map((l4Proto) => ({ l4Proto, low: number, high: last || number }));
}

/* The case of letters is of no account (pkg/policy/api/utils.go, ParseL4Proto). */
function readProtocol(port: MapValue, action: 'allow' | 'deny'): readonly number[] {
  const value = port.getNonNull('protocol');
  const text = value ? value.text('"TCP", "UDP", "SCTP" or "ANY" is legal') : '';
  if (text === undefined) return [];
  const upper = text.toUpperCase();
  const known = TRANSPORTS.get(upper);
  if (known) return known;
  if (EXTENDED.includes(upper)) {
    if (value) leaveOut(value, `is "${text}", of which nothing is enforced`, action);
    return [];
  }
  const hint = upper.startsWith('ICMP') ? ', and types of ICMP stand in "icmps"' : '';
  return value?.error(`is "${text}": "TCP", "UDP", "SCTP" or "ANY" is legal${hint}`) ?? [];
}
