import { parsePrefix } from '../policy/prefix.ts';
import type { Who } from '../policy/who.ts';
import { anyQuoted } from '../wording.ts';
import type { Value } from './value.ts';

/** A selector that selects nothing we know, and what to say of it. */
export interface Stranger {
  readonly value: Value;
  readonly what: string;
}

/** Whom members of a rule speak of; `isNobody`: they select nothing by what they say. */
export interface Members {
  readonly whos: readonly Who[];
  readonly strangers: readonly Stranger[];
  readonly isNobody: boolean;
}

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

/** An entry of `toEntities`. Outside of this host all is "world": there is no cluster. */
export function readEntity(value: Value): Members {
  const legal = `${anyQuoted([...WORLDS.keys(), 'host', 'none'])} is legal`;
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
