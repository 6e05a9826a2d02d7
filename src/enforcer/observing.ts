import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Answer } from '../control/server.ts';
import type { Event } from '../flow/event.ts';
import { EventQueue } from '../flow/event-queue.ts';
import type { EventFeed } from '../flow/feed.ts';
import { FILTERS, type Filter, type FilterTexts, NO_FILTER, parseFilter } from '../flow/filter.ts';
import { makePace } from '../flow/pace.ts';
import { renderJson } from '../flow/render-json.ts';

/** What is asked of `observe`: the last of the past events that the filter wants, and those to come. */
export interface ObserveRequest {
  readonly command: 'observe';
  readonly follow: boolean;
  /** How many of the past; absent = all that are kept. */
  readonly last?: number;
  readonly filter: FilterTexts;
}

/** From one piece to the next for a reader: what comes meanwhile is sent together. */
const PACE_MS = 20;
/** Past events that are looked at before others get a turn. */
const PAST_IN_A_TURN = 256;

/* Many readers of one event: it is written once. */
const lines = new WeakMap<Event, string>();

/** Answers with events as lines of JSON, past ones first. Throws UsageError, SyntaxError for a bad request. */
export async function observe(
  feed: EventFeed,
  request: ReadonlyMap<string, unknown>,
  answer: Answer,
): Promise<void> {
  const { follow, last, filter } = parseRequest(request);
  const wants = parseFilter(filter, Date.now());
  answer.onceEnding(() => {}); // not whole before the past was looked at
  const wanted = await pastOf(feed, wants);
  const past = last === undefined ? wanted : wanted.slice(wanted.length - Math.min(last, wanted.length));
  const queue = new EventQueue(answer, lineOf, makePace(PACE_MS), past);
  answer.send('');
  answer.onceEnding(() => queue.finish(() => answer.end()));
  if (!follow) {
    queue.onceEmpty(() => answer.end());
    return;
  }
  const subscription = feed.subscribe(queue, wants);
  answer.onceClosed(() => subscription[Symbol.dispose]());
}

/* A filter may cost much, and there are thousands of events: others get a turn between. */
async function pastOf(feed: EventFeed, wants: Filter): Promise<Event[]> {
  const pieces = feed.pastInPieces(wants, PAST_IN_A_TURN);
  for (;;) {
    const step = pieces.next();
    // In one turn with what the caller does next: nothing comes between.
    if (step.done) return step.value;
    await nextTurn();
  }
}

function lineOf(event: Event): string {
  const known = lines.get(event);
  if (known !== undefined) return known;
  const line = renderJson(event);
  lines.set(event, line);
  return line;
}

/* Whoever wrote a key that means nothing here would get what it did not ask for. */
function parseRequest(request: ReadonlyMap<string, unknown>): Omit<ObserveRequest, 'command'> {
  refuseOthers(request, ['command', 'follow', 'last', 'filter']);
  const follow = request.get('follow') ?? false;
  if (typeof follow !== 'boolean')
    throw new SyntaxError(`"follow" is ${JSON.stringify(follow)}: true or false is legal`);
  const last = request.get('last');
  const isCount = typeof last === 'number' && Number.isSafeInteger(last) && last >= 0;
  if (last !== undefined && !isCount)
    throw new SyntaxError(`"last" is ${JSON.stringify(last)}: a count of events is legal`);
  return { follow, ...(isCount && { last }), filter: parseFilterTexts(request.get('filter') ?? {}) };
}

function parseFilterTexts(value: unknown): FilterTexts {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new SyntaxError(`"filter" is ${JSON.stringify(value)}: an object of lists is legal`);
  const given = new Map<string, unknown>(Object.entries(value));
  refuseOthers(given, FILTERS);
  const listOf = (name: string): readonly string[] => {
    const texts = given.get(name) ?? [];
    if (Array.isArray(texts) && texts.every((text) => typeof text === 'string')) return texts;
    throw new SyntaxError(`"${name}" of a filter is ${JSON.stringify(texts)}: a list of texts is legal`);
  };
  return Object.assign({}, NO_FILTER, ...FILTERS.map((name) => ({ [name]: listOf(name) })));
}

function refuseOthers(given: ReadonlyMap<string, unknown>, legal: readonly string[]): void {
  const other = [...given.keys()].find((key) => !legal.includes(key));
  if (other === undefined) return;
  throw new SyntaxError(`key ${JSON.stringify(other)} is not known: ${legal.join(', ')} are legal`);
}
