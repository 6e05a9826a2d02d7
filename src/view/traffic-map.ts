import type { DnsEvent, Event, FlowEvent } from '../flow/event.ts';
import type { Verdict } from '../flow/reason.ts';

/** The columns of the map, from left to right. */
export const COLUMNS = ['process', 'name', 'address'] as const;

/** A column of the map. */
export type Column = (typeof COLUMNS)[number];

/** A place of the map: what it is, or, with `folded` above 0, that many that found no room. */
export interface MapNode {
  readonly column: Column;
  /** Unlike that of any other node. */
  readonly key: string;
  /** As the event has it, for filters; empty where there is none. */
  readonly text: string;
  readonly folded: number;
  readonly attempts: Record<Verdict, number>;
  lastMs: number;
}

/** What went from one place to another with one verdict. */
export interface MapEdge {
  readonly from: string;
  readonly to: string;
  readonly verdict: Verdict;
  attempts: number;
  lastMs: number;
}

/** Who talked to what: the nodes of a column stand in the order in which they are drawn. */
export interface TrafficMap {
  readonly nodes: Record<Column, readonly MapNode[]>;
  readonly edges: readonly MapEdge[];
}

interface Path {
  readonly event: DnsEvent | FlowEvent;
  readonly steps: readonly (readonly [Column, string])[];
}

/** Refusals are looked for, so they keep their places among much that passes. */
const REFUSED_WEIGHT = 8;

/**
 * Draws who talked to what, of flows and of lookups that were refused: process, name, address. A column has at most
 * `most` nodes; of others, those with the least attempts, the last node stands.
 */
export function drawMap(events: Iterable<Event>, most: number): TrafficMap {
  const paths = [...events].flatMap((event) => pathOf(event) ?? []);
  const all = new Map<string, MapNode>();
  for (const { event, steps } of paths) {
    for (const [column, text] of steps) count(all, nodeKey(column, text), { column, text, folded: 0 }, event);
  }
  const kept = new Map(COLUMNS.map((column) => [column, keep(all, column, most)]));
  const nodes = new Map<string, MapNode>();
  const edges = new Map<string, MapEdge>();
  for (const { event, steps } of paths) {
    let before: string | undefined;
    for (const [column, text] of steps) {
      const { keys, folded } = kept.get(column) ?? { keys: new Set<string>(), folded: 0 };
      const own = nodeKey(column, text);
      const key = keys.has(own) ? own : `${column} …`;
      count(nodes, key, keys.has(own) ? { column, text, folded: 0 } : { column, text: '', folded }, event);
      if (before !== undefined) connect(edges, before, key, event);
      before = key;
    }
  }
  const inColumn = (column: Column) =>
    [...nodes.values()].filter((node) => node.column === column).sort(byRank);
  const processes = inColumn('process');
  const names = besideOf(processes, inColumn('name'), edges.values());
  const addresses = besideOf(names, inColumn('address'), edges.values());
  return { nodes: { process: processes, name: names, address: addresses }, edges: [...edges.values()] };
}

/* In the order of what they are connected with on their left, so that few lines cross; what was folded stands last. */
function besideOf(left: readonly MapNode[], nodes: readonly MapNode[], edges: Iterable<MapEdge>): MapNode[] {
  const places = new Map(left.map(({ key }, index) => [key, index]));
  const found = new Map<string, number[]>();
  for (const { from, to } of edges) {
    const place = places.get(from);
    if (place !== undefined) found.set(to, [...(found.get(to) ?? []), place]);
  }
  const middle = ({ key }: MapNode) => {
    const near = found.get(key) ?? [left.length];
    return near.reduce((sum, place) => sum + place, 0) / near.length;
  };
  return [...nodes].sort((a, b) => a.folded - b.folded || middle(a) - middle(b) || byRank(a, b));
}

/* Answers teach, and nobody talks to anybody by them; the end of a flow is no other flow. */
function pathOf(event: Event): Path | undefined {
  if (event.kind === 'flow') {
    if (event.packet.family === 'unread' || event.reason === 'ended') return undefined;
    const steps = [process(event), ['name', event.names[0] ?? ''], ['address', event.packet.dst]] as const;
    return { event, steps };
  }
  if (event.kind === 'dns' && event.verdict !== 'allow' && event.qname !== undefined)
    return { event, steps: [process(event), ['name', event.qname.replace(/\.$/u, '')]] };
  return undefined;
}

function process(event: DnsEvent | FlowEvent): readonly [Column, string] {
  return ['process', event.process?.comm ?? ''];
}

function nodeKey(column: Column, text: string): string {
  return `${column} =${text}`;
}

function count(
  nodes: Map<string, MapNode>,
  key: string,
  node: Pick<MapNode, 'column' | 'text' | 'folded'>,
  event: DnsEvent | FlowEvent,
): void {
  const known = nodes.get(key) ?? { ...node, key, attempts: { allow: 0, deny: 0, would_deny: 0 }, lastMs: 0 };
  known.attempts[event.verdict] += event.count;
  known.lastMs = Math.max(known.lastMs, event.timeMs);
  nodes.set(key, known);
}

function connect(edges: Map<string, MapEdge>, from: string, to: string, event: DnsEvent | FlowEvent): void {
  const { verdict, timeMs } = event;
  const key = JSON.stringify([from, to, verdict]);
  const known = edges.get(key) ?? { from, to, verdict, attempts: 0, lastMs: 0 };
  known.attempts += event.count;
  known.lastMs = Math.max(known.lastMs, timeMs);
  edges.set(key, known);
}

function keep(
  nodes: ReadonlyMap<string, MapNode>,
  column: Column,
  most: number,
): { keys: ReadonlySet<string>; folded: number } {
  const ranked = [...nodes.values()].filter((node) => node.column === column).sort(byRank);
  const kept = ranked.length > most ? ranked.slice(0, most - 1) : ranked;
  return { keys: new Set(kept.map(({ key }) => key)), folded: ranked.length - kept.length };
}

/* What was folded stands last. */
function byRank(a: MapNode, b: MapNode): number {
  return a.folded - b.folded || rank(b) - rank(a) || (a.key < b.key ? -1 : 1);
}

function rank({ attempts }: MapNode): number {
  const refused = attempts.deny + attempts.would_deny;
  return Math.log1p(attempts.allow) + REFUSED_WEIGHT * Math.min(1, refused) + Math.log1p(refused);
}
