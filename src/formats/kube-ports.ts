import { MAX_PORTS, mergePorts, type PortRange, parseProtocol } from '../policy/port.ts';
import type { Rule } from '../policy/rule.ts';
import { MAX_COVERING } from '../policy/rule-sets.ts';
import type { Who } from '../policy/who.ts';
import type { MapValue, Value } from './value.ts';

/** Protocols as Kubernetes writes them. */
export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

const MAX_PORT = 65_535;
/** More would make more rules than may cover an address. */
const MAX_RANGES = MAX_PORTS * MAX_COVERING;

/** The IP protocol of `protocol`; TCP when there is none. */
export function readProtocol(
  map: MapValue,
  protocols: readonly (typeof PROTOCOLS)[number][] = PROTOCOLS,
): number | undefined {
  const value = map.getNonNull('protocol');
  const word = value ? value.word(protocols) : 'TCP';
  return word && parseProtocol(word.toLowerCase(), 'protocol');
}

/** A port by its number. */
export function readPortNumber(value: Value): number | undefined {
  return value.integer(1, MAX_PORT);
}

/** A map with `port`, which has to be there, and `protocol`. */
export function readPort(
  value: Value,
  protocols?: readonly (typeof PROTOCOLS)[number][],
): PortRange | undefined {
  const map = value.map('a map with "port" and "protocol" is legal');
  if (!map) return undefined;
  const l4Proto = readProtocol(map, protocols);
  const portValue = map.require('port', `a number from 1 to ${MAX_PORT} is legal`);
  const port = portValue && readPortNumber(portValue);
  map.end();
  return l4Proto === undefined || port === undefined ? undefined : { l4Proto, low: port, high: port };
}

/** Every port of a protocol. */
export function everyPort(l4Proto: number): PortRange {
  return { l4Proto, low: 0, high: MAX_PORT };
}

/** The ports of a list in sets that a rule each can have. Of no port there is no set. */
export function splitPorts(list: Value, ports: readonly PortRange[]): PortRange[][] {
  const merged = mergePorts(ports);
  if (merged.length > MAX_RANGES) {
    list.error(`makes ${merged.length} ranges of ports: at most ${MAX_RANGES} are legal`);
    return [];
  }
  const sets: PortRange[][] = [];
  for (let at = 0; at < merged.length; at += MAX_PORTS) sets.push(merged.slice(at, at + MAX_PORTS));
  return sets;
}

/**
 * The ports of a list, in sets. An absent or empty list means every port and protocol, one set without a range; one of
 * which all is left out, as it can't be enforced, means nothing: no set.
 */
export function readPortSets(
  list: Value | undefined,
  read: (each: Value) => PortRange | undefined,
): PortRange[][] {
  if (!list) return [[]];
  const items = list.list('a list of ports is legal');
  if (!items) return [];
  if (items.length === 0) return [[]];
  return splitPorts(
    list,
    items.flatMap((each) => read(each) ?? []),
  );
}

/** Rules that allow each of `whos` each of the sets of ports. */
export function allowEach(whos: readonly Who[], portSets: readonly PortRange[][], source: string): Rule[] {
  return whos.flatMap((who) => portSets.map((ports): Rule => ({ who, action: 'allow', ports, source })));
}
