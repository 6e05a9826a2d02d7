/* The page of one enforcer. It reads events and shows them; nothing that is pressed changes anything there. */

import { EventLog } from '../view/event-log.ts';
import type { PageState } from '../view/state.ts';
import type { Column } from '../view/traffic-map.ts';
import { Connection } from './connection.ts';
import { byId } from './element.ts';
import { EventDetails } from './event-details.ts';
import { EventTable } from './event-table.ts';
import { FilterBar } from './filter-bar.ts';
import { MapChart } from './map-chart.ts';
import { StatusHead } from './status-head.ts';
import { followTheme } from './theme.ts';
import { TimelineChart } from './timeline-chart.ts';
import { TokenGate, takeToken } from './token.ts';

const KEPT_EVENTS = 20_000;
/** The map is of the last ones. */
const MAPPED_EVENTS = 5_000;
const CHARTS_MS = 500;
const FIELD_OF = { process: 'process', name: 'name', address: 'to' } as const;

const log = new EventLog(KEPT_EVENTS);
const head = new StatusHead();
let state: PageState | undefined;
/** Of the enforcer's clock, before the browser's. */
let aheadMs = 0;
let isTableStale = true;
let areChartsStale = true;
let chartsAtMs = 0;

const nowMs = () => Date.now() + aheadMs;
const instance = () => state?.instance ?? 'default';
const filters = new FilterBar(instance, nowMs, (filter) => {
  log.filter = filter;
  chartsAtMs = 0;
  changed();
});
const table = new EventTable(
  (entry, hasKeyboard) => details.open(entry, hasKeyboard),
  (entry) => {
    if (details.isOpen) details.open(entry, false);
  },
);
const details = new EventDetails(
  () => state,
  () => table.focus(),
);
const timeline = new TimelineChart(
  (fromMs) => filters.toggle('since', new Date(fromMs).toISOString()),
  () => {
    chartsAtMs = 0;
    changed();
  },
);
const map = new MapChart((column: Column, text: string) => filters.toggle(FIELD_OF[column], text));
const gate = new TokenGate((token) => connection.start(token));
const connection = new Connection({
  line: (line) => {
    head.showLine(line);
    if (line === 'refused') gate.open();
    if (line === 'live') gate.close();
  },
  inForce: (told) => {
    state = told;
    head.showState(told);
  },
  clock: (toldMs) => {
    aheadMs = toldMs - Date.now();
  },
  events: (events, lost) => {
    log.add(events, lost);
    changed();
  },
});

function changed(): void {
  isTableStale = true;
  areChartsStale = true;
  requestAnimationFrame(draw);
}

/* What changed since the last frame; charts less often, since they look at many events. */
function draw(): void {
  if (isTableStale) {
    isTableStale = false;
    table.draw(log.shown);
    head.showCounts(log.counts);
    head.showSize(log.shown.length, log.size);
    head.showPause(log.isPaused ? log.waiting : undefined);
  }
  if (areChartsStale && performance.now() - chartsAtMs >= CHARTS_MS) drawCharts();
}

function drawCharts(): void {
  areChartsStale = false;
  chartsAtMs = performance.now();
  const events = log.shown.map(({ event }) => event);
  timeline.draw(events, nowMs());
  map.draw(events.slice(-MAPPED_EVENTS), nowMs());
}

function togglePause(): void {
  if (log.isPaused) log.resume();
  else log.pause();
  changed();
}

document.addEventListener('keydown', (event) => {
  const isTyping = event.target instanceof HTMLInputElement;
  if (event.key === 'Escape' && details.isOpen) details.close();
  else if (event.key === 'Escape' && isTyping) table.focus();
  else if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    filters.focus();
  } else if (event.key === 'p' && !isTyping && !event.ctrlKey && !event.metaKey) togglePause();
});
byId('pause', HTMLButtonElement).addEventListener('click', togglePause);
followTheme();
addEventListener('resize', () => {
  chartsAtMs = 0;
  changed();
});
// Time goes on where no event comes.
setInterval(() => {
  if (!log.isPaused) changed();
}, 1_000);
changed();

const token = takeToken();
if (token === '') gate.open();
else connection.start(token);
