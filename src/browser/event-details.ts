import { allowanceOf } from '../view/allowance.ts';
import { fieldsOf } from '../view/event-fields.ts';
import type { Entry } from '../view/event-log.ts';
import { rowOf, VERDICT_SIGNS } from '../view/event-row.ts';
import type { PageState } from '../view/state.ts';
import { copyButton } from './copy-button.ts';
import { byId, make, setAttributes, setText } from './element.ts';

/** One event with all its fields, and the rule that would allow what it tells of. */
export class EventDetails {
  readonly #panel = byId('details', HTMLElement);
  readonly #title = byId('details-title', HTMLElement);
  readonly #content = byId('details-content', HTMLElement);
  readonly #state: () => PageState | undefined;
  readonly #onClose: () => void;

  /** @param state what is in force, once it is known */
  constructor(state: () => PageState | undefined, onClose: () => void) {
    this.#state = state;
    this.#onClose = onClose;
    byId('details-close', HTMLButtonElement).addEventListener('click', () => this.close());
  }

  get isOpen(): boolean {
    return !this.#panel.hidden;
  }

  /** Shows an event; with `takesFocus` the keyboard goes there. */
  open({ event }: Entry, takesFocus: boolean): void {
    const row = rowOf(event);
    const words = row.verdict ? VERDICT_SIGNS[row.verdict] : undefined;
    setText(this.#title, words ? `${words.sign} ${words.word}` : event.kind);
    setAttributes(this.#title, { 'data-verdict': row.verdict });
    const fields = fieldsOf(event).flatMap(([name, text]) => [make('dt', {}, name), make('dd', {}, text)]);
    const state = this.#state();
    const allowance = state && allowanceOf(event, state);
    this.#content.replaceChildren(
      make('p', { class: 'what' }, row.told ?? [row.process, '→', row.name, row.target].join(' ')),
      ...(allowance ? [this.#allow(allowance)] : []),
      make('h3', {}, 'All fields'),
      make('dl', {}, ...fields),
    );
    this.#panel.hidden = false;
    this.#content.scrollTop = 0;
    if (takesFocus) this.#title.focus();
  }

  /** Idempotent. */
  close(): void {
    if (this.#panel.hidden) return;
    this.#panel.hidden = true;
    this.#onClose();
  }

  #allow({ flags, policy, remark }: NonNullable<ReturnType<typeof allowanceOf>>): HTMLElement {
    const section = make('section', { class: 'allow-this', 'aria-labelledby': 'allow-title' });
    section.append(make('h3', { id: 'allow-title' }, 'Allow this'));
    if (flags !== undefined) section.append(snippet('Flag', 'allow-flags', flags));
    if (policy !== undefined) section.append(snippet('Policy file', 'allow-policy', policy));
    if (remark !== undefined) section.append(make('p', { class: 'remark' }, remark));
    section.append(make('p', { class: 'remark' }, 'Nothing is changed here: add it where your policy is.'));
    return section;
  }
}

function snippet(title: string, id: string, text: string): HTMLElement {
  const code = make('code', { id }, text);
  return make(
    'div',
    { class: 'snippet' },
    make(
      'div',
      { class: 'snippet-head' },
      make('span', {}, title),
      copyButton(() => text, title.toLowerCase()),
    ),
    make('pre', { tabindex: 0 }, code),
  );
}
