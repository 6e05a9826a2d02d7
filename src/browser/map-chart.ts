import { escapeControl } from '../flow/escape.ts';
import type { Event } from '../flow/event.ts';
import type { Verdict } from '../flow/reason.ts';
import { VERDICT_SIGNS } from '../view/event-row.ts';
import {
  COLUMNS,
  type Column,
  drawMap,
  type MapEdge,
  type MapNode,
  type TrafficMap,
} from '../view/traffic-map.ts';
import { byId, make, makeSvg, setAttributes, setText } from './element.ts';

const NOTHING: Readonly<Record<Column, string>> = {
  process: 'unknown process',
  name: 'no name',
  address: '',
};
const FADES_MS = 120_000;
const FAINTEST = 0.28;

/** What a click on a place asks for. */
export type Pick = (column: Column, text: string) => void;

/** The map: processes, the names they asked for, the addresses they went to. */
export class MapChart {
  readonly #places = byId('map-places', HTMLElement);
  readonly #svg = byId('map-edges', SVGSVGElement);
  readonly #caption = byId('map-caption', HTMLElement);
  readonly #onPick: Pick;
  readonly #buttons = new Map<string, HTMLButtonElement>();
  readonly #lines = new Map<string, SVGPathElement>();
  #map: TrafficMap = { nodes: { process: [], name: [], address: [] }, edges: [] };
  #lit: string | undefined;

  constructor(onPick: Pick) {
    this.#onPick = onPick;
  }

  /** Draws what events say; as of `nowMs` older lines are fainter. */
  draw(events: Iterable<Event>, nowMs: number): void {
    const pitch = this.#measure('--map-pitch');
    const most = this.#measure('--map-rows');
    this.#map = drawMap(events, most);
    const height = most * pitch;
    setAttributes(this.#svg, { viewBox: `0 0 1000 ${height}`, preserveAspectRatio: 'none' });
    const heights = new Map<string, number>();
    for (const column of COLUMNS) {
      const nodes = this.#map.nodes[column];
      const top = (height - nodes.length * pitch) / 2;
      nodes.forEach((node, index) => {
        heights.set(node.key, top + (index + 0.5) * pitch);
        this.#place(node, top + index * pitch);
      });
    }
    removeOthers(this.#buttons, heights);
    const sides = {
      first: [this.#measure('--process-end'), this.#measure('--name-start')],
      second: [this.#measure('--name-end'), this.#measure('--address-start')],
    } as const;
    const drawn = new Map(this.#map.edges.map((edge) => [edgeKey(edge), edge]));
    for (const [key, edge] of drawn) {
      const [x1, x2] = edge.from.startsWith('process') ? sides.first : sides.second;
      const [y1 = 0, y2 = 0] = [heights.get(edge.from), heights.get(edge.to)];
      this.#connect(key, edge, [x1 * 10, y1, x2 * 10, y2], nowMs);
    }
    removeOthers(this.#lines, drawn);
    setAttributes(byId('map-empty', HTMLElement), { hidden: heights.size > 0 });
    this.#light(this.#lit !== undefined && heights.has(this.#lit) ? this.#lit : undefined);
  }

  #place(node: MapNode, top: number): void {
    const button = this.#buttons.get(node.key) ?? this.#addButton(node);
    const label = labelOf(node);
    const worst = worstOf(node.attempts);
    setText(button.lastElementChild ?? button, label);
    setText(button.firstElementChild ?? button, VERDICT_SIGNS[worst].sign);
    setAttributes(button, {
      'data-verdict': worst,
      title: label,
      'aria-label': `${node.column} ${label}: ${sayAttempts(node.attempts)}`,
    });
    button.style.transform = `translateY(${top}px)`;
  }

  #addButton(node: MapNode): HTMLButtonElement {
    const button = make(
      'button',
      { type: 'button', class: `place ${node.column}`, disabled: node.folded > 0 },
      make('span', { class: 'sign', 'aria-hidden': 'true' }),
      make('span', { class: 'label' }),
    );
    button.addEventListener('click', () => this.#onPick(node.column, node.text));
    for (const kind of ['pointerenter', 'focus'] as const)
      button.addEventListener(kind, () => this.#light(node.key));
    for (const kind of ['pointerleave', 'blur'] as const)
      button.addEventListener(kind, () => this.#light(undefined));
    this.#buttons.set(node.key, button);
    this.#places.append(button);
    return button;
  }

  #connect(key: string, edge: MapEdge, ends: readonly [number, number, number, number], nowMs: number): void {
    const [x1, top1, x2, top2] = ends;
    const line = this.#lines.get(key) ?? makeSvg('path', { class: `edge ${edge.verdict}` });
    if (!line.isConnected) this.#svg.append(line);
    this.#lines.set(key, line);
    // Side by side, where one pair of places has several verdicts.
    const shift = edge.verdict === 'allow' ? -2 : edge.verdict === 'deny' ? 2 : 0;
    const [y1, y2] = [top1 + shift, top2 + shift];
    const bend = (x2 - x1) / 2;
    const age = Math.max(0, nowMs - edge.lastMs) / FADES_MS;
    setAttributes(line, {
      d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`,
      'stroke-width': Math.min(8, 1.4 + 0.75 * Math.log2(1 + edge.attempts)).toFixed(1),
      'stroke-opacity': Math.max(FAINTEST, 1 - age * (1 - FAINTEST)).toFixed(2),
    });
  }

  /* Shows what one place has to do with. */
  #light(key: string | undefined): void {
    this.#lit = key;
    const near = new Set(key === undefined ? [] : reachedFrom(this.#map.edges, key));
    this.#places.classList.toggle('lit', key !== undefined);
    this.#svg.classList.toggle('lit', key !== undefined);
    for (const [each, button] of this.#buttons) button.classList.toggle('near', near.has(each));
    for (const edge of this.#map.edges) {
      const isNear = near.has(edge.from) && near.has(edge.to);
      this.#lines.get(edgeKey(edge))?.classList.toggle('near', isNear);
    }
    const node = COLUMNS.flatMap((column) => [...this.#map.nodes[column]]).find((each) => each.key === key);
    const text = node
      ? `${labelOf(node)}: ${sayAttempts(node.attempts)}, last at ${new Date(node.lastMs).toLocaleTimeString()}`
      : 'Point at a place for what it has to do with; press it to see its events only.';
    setText(this.#caption, text);
  }

  #measure(name: string): number {
    return Number.parseFloat(getComputedStyle(this.#places).getPropertyValue(name));
  }
}

function labelOf({ column, text, folded }: MapNode): string {
  if (folded > 0) return `${folded} others`;
  return escapeControl(text) || NOTHING[column];
}

function edgeKey({ from, to, verdict }: MapEdge): string {
  return JSON.stringify([from, to, verdict]);
}

function worstOf({ deny, would_deny }: Record<Verdict, number>): Verdict {
  return deny > 0 ? 'deny' : would_deny > 0 ? 'would_deny' : 'allow';
}

function sayAttempts({ allow, deny, would_deny }: Record<Verdict, number>): string {
  const parts = [
    ...(allow > 0 ? [`${allow} allowed`] : []),
    ...(deny > 0 ? [`${deny} denied`] : []),
    ...(would_deny > 0 ? [`${would_deny} would be denied`] : []),
  ];
  return parts.join(', ');
}

/* To the left and to the right of a place, never back. */
function reachedFrom(edges: readonly MapEdge[], key: string): string[] {
  const walk = (
    from: readonly string[],
    step: (edge: MapEdge, at: string) => string | undefined,
  ): string[] => {
    const next = edges.flatMap((edge) => from.flatMap((at) => step(edge, at) ?? []));
    return next.length > 0 ? [...next, ...walk([...new Set(next)], step)] : [];
  };
  return [
    key,
    ...walk([key], (edge, at) => (edge.from === at ? edge.to : undefined)),
    ...walk([key], (edge, at) => (edge.to === at ? edge.from : undefined)),
  ];
}

function removeOthers(elements: Map<string, Element>, wanted: ReadonlyMap<string, unknown>): void {
  for (const [key, element] of elements) {
    if (wanted.has(key)) continue;
    element.remove();
    elements.delete(key);
  }
}
