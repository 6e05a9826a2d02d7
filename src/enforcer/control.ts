import { ControlServer, type Handler } from '../control/server.ts';
import type { EventFeed } from '../flow/feed.ts';
import type { NameBook } from './book.ts';
import { controlPath } from './control-path.ts';
import { observe } from './observing.ts';
import { answerSuggest, type Suggestible } from './suggesting.ts';
import { tellNames, tellOfFeed } from './telling.ts';

/** What requests are answered from. */
export interface Controlled extends Suggestible {
  readonly feed: EventFeed;
  readonly book: NameBook;
}

/** Begins to take the requests of an instance: of `observe`, of `status`, of whatever asks the running process. */
export function takeRequests(instance: string, controlled: Controlled): ControlServer {
  const handlers = new Map<string, Handler>([
    ['observe', (request, answer) => observe(controlled.feed, request, answer)],
    ['suggest', answerSuggest(controlled)],
    ['told', (_request, answer) => tellOfFeed(controlled.feed, answer)],
    ['names', (_request, answer) => tellNames(controlled.book, answer)],
  ]);
  return new ControlServer(controlPath(instance), handlers);
}
