import type { DnsMode, Rule } from '../policy/rule.ts';
import type { Who } from '../policy/who.ts';
import { isEveryName } from './cilium-name.ts';
import { type Peers, readPeers } from './cilium-peers.ts';
import { type Ports, readPorts } from './cilium-ports.ts';
import { splitPorts } from './kube-ports.ts';
import { leaveOut } from './leave-out.ts';
import type { MapValue, Value } from './value.ts';

const AUTHENTICATION = ['disabled', 'required', 'test-always-fail'] as const;

/** What one entry of `egress` or `egressDeny` says; `dns`: which names may be looked up, undefined = nothing of it. */
export interface Egress {
  readonly rules: readonly Rule[];
  readonly dns?: DnsMode;
}

const NOTHING: Egress = { rules: [] };

/** Reads an entry of `egress` (`allow`) or `egressDeny` (`deny`); `source` names its rules. */
export function readEgress(value: Value, source: string, action: 'allow' | 'deny'): Egress {
  const map = value.map('a rule is a map such as toCIDR, toFQDNs or toEntities with toPorts');
  if (!map) return NOTHING;
  const peers = readPeers(map, action);
  const ports = readPorts(map, action);
  const isBarred = hasCondition(map, action);
  map.end();
  if (!ports.isDnsOnly) {
    for (const { value, what } of peers.strangers) leaveOut(value, what, action);
  }
  if (action === 'deny' && peers.kind === 'absent' && !ports.ranges)
    value.warn('denies nothing: it says neither whom nor what, and "toEntities: [all]" denies everything');
  if (isBarred || peers.kind === 'nobody') return NOTHING;
  const lookups = readLookups(value, peers, ports, source);
  const whos = whosOf(peers, ports);
  const portSets = ports.ranges ? splitPorts(value, ports.ranges) : [[]];
  const rules = portSets.flatMap((ranges) =>
    whos.map((who): Rule => ({ who, action, ports: ranges, source })),
  );
  return { ...lookups, rules: [...rules, ...lookups.rules] };
}

/* `- {}` lets nothing pass, it only makes the rest be refused: examples/policies/l3/egress-default-deny. With ports and
 * no peers a rule is of every destination (layer4.rst, "to any layer 3 destination"). */
function whosOf(peers: Peers, ports: Ports): readonly Who[] {
  return peers.kind === 'absent' && ports.ranges ? [{ kind: 'any' }] : peers.whos;
}

/* What passes under a condition can't pass without it. */
function hasCondition(rule: MapValue, action: 'allow' | 'deny'): boolean {
  if (action === 'deny') return false;
  const requires = rule.getNonNull('toRequires');
  requires?.unsupported('is no longer known to Cilium 1.19');
  const authentication = rule.getNonNull('authentication')?.map('a map with "mode" is legal');
  const mode = authentication?.require('mode', '"disabled" is legal');
  const word = mode?.word(AUTHENTICATION);
  authentication?.end();
  const isAuthenticated = word !== undefined && word !== 'disabled';
  if (isAuthenticated) mode?.unsupported(`is "${word}": peers are not authenticated`);
  return requires !== undefined || isAuthenticated;
}

/**
 * Names of `rules.dns`: whatever pods or entities the rule selects, they are taken for the trusted resolvers, at which
 * names are judged and which need no rule for themselves. Other resolvers by address could be asked anything, so
 * nothing passes to those.
 */
function readLookups(rule: Value, peers: Peers, { lookups }: Ports, source: string): Egress {
  if (lookups.length === 0) return NOTHING;
  if (peers.hasAddresses) {
    for (const { value } of lookups) {
      value.unsupported(
        'is held at the trusted resolvers only, and the rule lists addresses or names: toEndpoints is legal',
      );
    }
    return NOTHING;
  }
  rule.warn('is taken as lookups at the trusted resolvers, whatever it selects');
  const names = lookups.flatMap((each) => each.names);
  return {
    // "Every name" is a rule too: where another file makes DNS strict, Cilium adds up what both list.
    rules: names.map((who): Rule => ({ who, action: 'lookup', ports: [], source })),
    dns: names.some(isEveryName) ? 'open' : 'strict',
  };
}
