import type { Who } from '../policy/who.ts';
import { type Members, readEntity, type Stranger } from './cilium-entity.ts';
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
  const keys = action === 'allow' ? [...COMMON, 'toFQDNs' as const] : COMMON;
  const lists = keys.flatMap((key) => {
    const value = rule.getNonNull(key);
    return value ? [{ key, value, items: value.list() ?? [] }] : [];
  });
  const [first, ...more] = lists.filter(({ items }) => items.length > 0);
  for (const { value } of more) value.error(`stands beside ${first?.key}: one of them is legal in a rule`);
  const members = lists.map(({ key, value, items }) => {
    if (items.length > 0) return readMember(key, value, items, action);
    if (value.isList) value.warn('is empty: it selects nobody');
    return NOBODY;
  });
  const selects = members.every(({ isNobody }) => !isNobody);
  return {
    kind: lists.length === 0 ? 'absent' : selects ? 'listed' : 'nobody',
    whos: members.flatMap(({ whos }) => whos),
    strangers: members.flatMap(({ strangers }) => strangers),
    hasAddresses: lists.some(({ key }) => key === 'toCIDR' || key === 'toCIDRSet' || key === 'toFQDNs'),
  };
}

const NOBODY: Members = { whos: [], strangers: [], isNobody: true };

function readMember(
  key: (typeof COMMON)[number] | 'toFQDNs',
  value: Value,
  items: readonly Value[],
  action: 'allow' | 'deny',
): Members {
  switch (key) {
    case 'toCIDR':
      return listed(items.flatMap((item) => readPrefix(item) ?? []));
    case 'toCIDRSet':
      return listed(items.flatMap((item) => readBlock(item, action) ?? []));
    case 'toFQDNs':
      return listed(items.flatMap(readFqdn));
    case 'toEndpoints':
      for (const item of items) readSelector(item, undefined);
      return { ...listed([]), strangers: [{ value, what: 'selects pods, of which none is known' }] };
    case 'toEntities': {
      const entities = items.map(readEntity);
      const isNobody = entities.every((entity) => entity.isNobody);
      if (isNobody && action === 'deny') value.warn('denies nothing: "none" is nobody');
      return {
        whos: entities.flatMap(({ whos }) => whos),
        strangers: entities.flatMap(({ strangers }) => strangers),
        isNobody,
      };
    }
    case 'toServices':
    case 'toGroups':
    case 'toNodes':
      leaveOut(value, 'selects what only a cluster has', action);
      return NOBODY;
    default:
      return key satisfies never;
  }
}

function listed(whos: readonly Who[]): Members {
  return { whos, strangers: [], isNobody: false };
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
