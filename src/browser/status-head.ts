import { escapeControl } from '../flow/escape.ts';
import type { Counts } from '../view/event-log.ts';
import { modeOf, type PageState } from '../view/state.ts';
import type { LineState } from './connection.ts';
import { byId, make, setAttributes, setText } from './element.ts';

const LINE_WORDS: Readonly<Record<LineState, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  lost: 'No connection, trying again',
  refused: 'Token needed',
};

/** The head of the page: which enforcer, what it does, how much of what, and how the line to it is. */
export class StatusHead {
  /** What is in force, as it was told last. */
  showState(state: PageState): void {
    const mode = modeOf(state);
    const instance = escapeControl(state.instance);
    document.title = `l7egg ${instance}`;
    setText(byId('instance', HTMLElement), instance);
    setText(byId('mode', HTMLElement), mode);
    setAttributes(byId('mode', HTMLElement), { 'data-mode': mode });
    const { length } = state.subjects;
    setText(byId('subjects-title', HTMLElement), `${length} ${length === 1 ? 'subject' : 'subjects'}`);
    const rows = state.subjects.map(({ subject, audit, dns, rules, policies }) =>
      make(
        'li',
        {},
        make('strong', {}, escapeControl(subject)),
        make(
          'span',
          {},
          escapeControl(
            `${audit ? 'audit' : 'enforcing'} · ${rules} ${rules === 1 ? 'rule' : 'rules'} of ${policies.join(', ')} · dns ${dns}`,
          ),
        ),
      ),
    );
    const resolvers = escapeControl(state.resolvers.join(', ') || 'none');
    byId('subjects-list', HTMLElement).replaceChildren(
      ...rows,
      make('li', {}, make('strong', {}, 'resolvers'), make('span', {}, resolvers)),
      make(
        'li',
        {},
        make('strong', {}, 'process'),
        make('span', {}, `${state.pid} since ${new Date(state.startedMs).toLocaleString()}`),
      ),
    );
  }

  showLine(line: LineState): void {
    // What is in force may be something else by now.
    setAttributes(byId('mode', HTMLElement), { 'data-stale': line !== 'live' });
    setText(byId('line', HTMLElement), LINE_WORDS[line]);
    setAttributes(byId('line', HTMLElement), { 'data-line': line });
  }

  showCounts(counts: Counts): void {
    for (const verdict of ['allow', 'deny', 'would_deny'] as const)
      setText(byId(`number-${verdict}`, HTMLElement), counts[verdict].toLocaleString());
    setText(byId('number-lost', HTMLElement), counts.lost.toLocaleString());
    setAttributes(byId('lost', HTMLElement), { 'data-some': counts.lost > 0 });
  }

  /** How many events wait while it is paused; undefined where it is not. */
  showPause(waiting: number | undefined): void {
    const button = byId('pause', HTMLButtonElement);
    setAttributes(button, { 'aria-pressed': `${waiting !== undefined}` });
    setText(button, waiting === undefined ? 'Pause' : `Resume (${waiting.toLocaleString()} new)`);
  }

  /** How many events the table has, of how many that are kept. */
  showSize(shown: number, size: number): void {
    const text =
      shown === size
        ? `${size.toLocaleString()} events`
        : `${shown.toLocaleString()} of ${size.toLocaleString()} events`;
    setText(byId('size', HTMLElement), text);
  }
}
