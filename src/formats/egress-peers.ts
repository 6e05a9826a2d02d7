import type { PortRange } from '../policy/port.ts';
import type { Rule } from '../policy/rule.ts';
import type { Who } from '../policy/who.ts';
import { allowEach, everyPort, readPortNumber, readPortSets, readProtocol } from './kube-ports.ts';
import { readLabelSelector } from './label-selector.ts';
import { readPrefixes } from './read-prefix.ts';
import type { Value } from './value.ts';

/** Is told what can't be enforced, where it stands. */
export type LeaveOut = (value: Value, what: string) => undefined;

/** As Kubernetes takes names of ports (RFC 6335): also a letter somewhere, and no two "-" in a row. */
const PORT_NAME = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*$/u;

/**
 * Reads one egress rule of a NetworkPolicy or a MultiNetworkPolicy. What is left out never widens it: a rule of which
 * all peers, or all ports, are left out allows nothing.
 */
export function readEgressRule(value: Value, source: string, leaveOut: LeaveOut): Rule[] {
  const map = value.map('a map with "to" and "ports" is legal, {} for everything');
  if (!map) return [];
  const whos = readPeers(map.getNonNull('to'), leaveOut);
  const portSets = readPortSets(map.getNonNull('ports'), (each) => readPolicyPort(each, leaveOut));
  map.end();
  return allowEach(whos, portSets, source);
}

/* An absent list and an empty one stand for everywhere. */
function readPeers(list: Value | undefined, leaveOut: LeaveOut): Who[] {
  if (!list) return [{ kind: 'any' }];
  const items = list.list('a list of peers is legal');
  if (items?.length === 0) return [{ kind: 'any' }];
  return (items ?? []).flatMap((each) => readPeer(each, leaveOut) ?? []);
}

function readPeer(value: Value, leaveOut: LeaveOut): Who | undefined {
  const map = value.map('a map with "ipBlock" is legal');
  if (!map) return undefined;
  const block = map.getNonNull('ipBlock');
  const selectors = ['podSelector', 'namespaceSelector'].flatMap((key) => map.getNonNull(key) ?? []);
  map.end();
  for (const selector of selectors) readLabelSelector(selector);
  const who = block && readBlock(block);
  if (selectors.length === 0) return block ? who : value.error('is empty: a map with "ipBlock" is legal');
  if (block) return value.error('has an "ipBlock" and a selector: one of them is legal');
  return leaveOut(value, 'chooses pods by labels, whose addresses are not known here: "ipBlock" is enforced');
}

function readBlock(value: Value): Who | undefined {
  const map = value.map('a map with "cidr" and "except" is legal');
  const prefix = map?.require('cidr', 'a prefix such as 192.0.2.0/24 is legal');
  const except = map?.getNonNull('except');
  map?.end();
  return prefix && readPrefixes(prefix, except);
}

function readPolicyPort(value: Value, leaveOut: LeaveOut): PortRange | undefined {
  const map = value.map('a map with "protocol", "port" and "endPort" is legal');
  if (!map) return undefined;
  const l4Proto = readProtocol(map);
  const portValue = map.getNonNull('port');
  const endValue = map.getNonNull('endPort');
  map.end();
  const high = endValue && readPortNumber(endValue);
  if (!portValue) {
    if (endValue)
      return endValue.error('has no "port" beside it: the first port of the range is legal there');
    return l4Proto === undefined ? undefined : everyPort(l4Proto);
  }
  if (portValue.isText) return readNamedPort(portValue, endValue, leaveOut);
  const low = readPortNumber(portValue);
  if (l4Proto === undefined || low === undefined || (endValue && high === undefined)) return undefined;
  if (high !== undefined && high < low)
    return endValue?.error(`is ${high}, less than the port ${low}: as much or more is legal`);
  return { l4Proto, low, high: high ?? low };
}

function readNamedPort(value: Value, endValue: Value | undefined, leaveOut: LeaveOut): undefined {
  const name = value.text() ?? '';
  if (!PORT_NAME.test(name))
    return value.error(`is the text "${name}", no name of a port: a number from 1 to 65535 is legal`);
  if (endValue) return endValue.error(`goes with the named port "${name}": only with a number it is legal`);
  return leaveOut(value, `is the name "${name}", which pods give to a port: numbers are enforced`);
}
