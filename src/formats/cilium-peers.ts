import { parsePrefix } from '../policy/prefix.ts';
import type { Who } from '../policy/who.ts';
import { readFqdn } from './cilium-name.ts';
import { readSelector } from './cilium-selector.ts';
import { leaveOut } from './leave-out.ts';
import { readPrefix, readPrefixes } from './read-prefix.ts';
import type { MapValue, Value } from './value.ts';

const COMMON = [
  'toCIDR',
  'toCIDRSet',
  'toEntities',
  'toEndpoints',
  'toServices',
  'toGroups',
  'toNodes',
] as const;
/** What only a cluster has (pkg/policy/api/entity.go). */
const OF_CLUSTERS = [
  'cluster',
  'cluster-mesh',
  'init',
  'ingress',
  'unmanaged',
  'remote-node',
  'health',
  'kube-apiserver',
];

/** A member of a rule that selects nothing we know. */
interface Stranger {
  readonly value: Value;
  readonly what: string;
}

/** Whom one rule speaks of. */
export interface Peers {
  /** `listed`: those of a member; `absent`: no member says so; `nobody`: a member that is empty or left out. */
  readonly kind: 'listed' | 'absent' | 'nobody';
  readonly whos: readonly Who[];
  /** Selectors that are of no account where trusted resolvers are meant; anything else has to leave them out. */
  readonly strangers: readonly Stranger[];
  /** Set when addresses or names are listed, which need not be those of trusted resolvers. */
  readonly hasAddresses: boolean;
}

/**
 * Reads the members that say whom a rule speaks of. Cilium takes one of them in a rule (pkg/policy/api,
 * EgressCommonRule.Validate), and one that is there but empty selects nobody (cilium/cilium#29608), other than one that
 * is absent. An empty `toFQDNs` is taken as absent by Cilium, here as the other members: less may pass.
 */
export function readPeers(rule: MapValue, action: 'allow' | 'deny'): Peers {
  const members = [...COMMON, ...(action === 'allow' ? (['toFQDNs'] as const) : [])].flatMap((key) => {
    const value = rule.getNonNull(key);
    return value ? [{ key, value, items: value.list() ?? [] }] : [];
  });
  const [first, ...more] = members.filter(({ items }) => items.length > 0);
  for (const { value } of more) value.error(`stands beside ${first?.key}: one of them is legal in a rule`);
  for (const { value, items } of members)
    if (value.isList && items.length === 0) value.warn('is empty: it selects nobody');
  const whos: Who[] = [];
  const strangers: Stranger[] = [];
  let selects = members.every(({ items }) => items.length > 0);
  for (const { key, value, items } of members) {
    if (key === 'toCIDR') whos.push(...items.flatMap((item) => readPrefix(item) ?? []));
    else if (key === 'toCIDRSet') whos.push(...items.flatMap((item) => readBlock(item, action) ?? []));
    else if (key === 'toFQDNs') whos.push(...items.flatMap(readFqdn));
    else if (key === 'toEndpoints') {
      for (const item of items) readSelector(item, undefined);
      if (items.length > 0) strangers.push({ value, what: 'selects pods, of which none is known' });
    } else if (key === 'toEntities') {
      const words = items.map((item) => readEntity(item));
      whos.push(...words.flatMap((word) => word.whos));
      strangers.push(...words.flatMap((word) => word.strangers));
      if (words.every(({ isNobody }) => isNobody)) selects = false;
    } else if (items.length > 0) {
      leaveOut(value, 'selects what only a cluster has', action);
      selects = false;
    }
  }
  return {
    kind: members.length === 0 ? 'absent' : selects ? 'listed' : 'nobody',
    whos,
    strangers,
    hasAddresses: members.some(({ key }) => key === 'toCIDR' || key === 'toCIDRSet' || key === 'toFQDNs'),
  };
}

/* An exception binds its own entry only. */
function readBlock(value: Value, action: 'allow' | 'deny'): Who | undefined {
  const map = value.map('a map with "cidr" and "except" is legal');
  if (!map) return undefined;
  const cidr = map.getNonNull('cidr');
  const except = map.getNonNull('except');
  const groups = [map.getNonNull('cidrGroupRef'), map.getNonNull('cidrGroupSelector')];
  map.end();
  let isGroup = false;
  for (const group of groups) {
    if (!group) continue;
    isGroup = true;
    leaveOut(group, 'names a CiliumCIDRGroup, of which none is known', action);
  }
  if (!cidr)
    return isGroup ? undefined : value.error('has no "cidr": a prefix such as 192.0.2.0/24 is legal');
  if (isGroup) return cidr.error('stands beside a group: one of them is legal');
  return readPrefixes(cidr, except);
}

interface Entity {
  readonly whos: readonly Who[];
  readonly strangers: readonly Stranger[];
  readonly isNobody: boolean;
}

const ANYBODY: readonly Who[] = [{ kind: 'any' }];
const V4 = readWhole('0.0.0.0/0');
const V6 = readWhole('::/0');

function readWhole(text: string): readonly Who[] {
  return [{ kind: 'prefix', prefix: parsePrefix(text).prefix, except: [] }];
}

const WORLDS: ReadonlyMap<string, readonly Who[]> = new Map([
  ['all', ANYBODY],
  ['world', ANYBODY],
  ['world-ipv4', V4],
  ['world-ipv6', V6],
]);

/* Outside of this host all is "world": there is no cluster. */
function readEntity(value: Value): Entity {
  const legal = `${[...WORLDS.keys(), 'host', 'none'].map((word) => `"${word}"`).join(', ')} is legal`;
  const word = value.text(legal);
  const whos = WORLDS.get(word ?? '');
  if (whos) return { whos, strangers: [], isNobody: false };
  if (word === 'host') {
    value.warn('is this host, which no controlled interface leads to: no rule is added');
    return { whos: [], strangers: [], isNobody: false };
  }
  if (word !== undefined && OF_CLUSTERS.includes(word)) {
    const stranger = { value, what: `is "${word}", which only a cluster has: ${legal}` };
    return { whos: [], strangers: [stranger], isNobody: false };
  }
  if (word !== undefined && word !== 'none') value.error(`is "${word}": ${legal}`);
  return { whos: [], strangers: [], isNobody: true };
}
