import type { Event } from '../flow/event.ts';
import type { Target } from './targets.ts';
import { safeText } from './width.ts';

/** What is to be seen. `search`: a part of one of the texts in lower case, empty = all. */
export interface Wanted {
  readonly deniesOnly: boolean;
  readonly search: string;
}

/** Whether a row of the table is to be seen. */
export function wantsTarget({ verdict, process, name, place, why }: Target, wanted: Wanted): boolean {
  if (wanted.deniesOnly && verdict === 'allow') return false;
  return holds([process, name, place, why], wanted.search);
}

/** Whether an event is to be seen; one of the enforcer itself, where all are. */
export function wantsEvent(event: Event, wanted: Wanted): boolean {
  const { deniesOnly, search } = wanted;
  if (event.kind !== 'flow' && event.kind !== 'dns') return !deniesOnly && search === '';
  if (deniesOnly && event.verdict === 'allow') return false;
  if (search === '') return true;
  const names = event.kind === 'dns' ? [event.qname ?? ''] : event.names;
  const place = event.packet.family === 'unread' ? '' : event.packet.dst;
  const texts = [...names, place, event.process?.comm ?? '', event.rule ?? '', event.reason];
  return holds(texts.map(safeText), search);
}

function holds(texts: readonly string[], search: string): boolean {
  return search === '' || texts.some((text) => text.toLowerCase().includes(search));
}
