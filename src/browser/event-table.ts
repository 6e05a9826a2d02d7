import type { Entry } from '../view/event-log.ts';
import { rowOf, VERDICT_SIGNS } from '../view/event-row.ts';
import { byId, make, setAttributes, setText } from './element.ts';

const CELLS = ['time', 'verdict', 'process', 'name', 'target', 'cause', 'count'] as const;
type Cells = Record<(typeof CELLS)[number], HTMLElement>;

interface Row {
  readonly element: HTMLElement;
  readonly cells: Cells;
  ordinal: number;
}

/** Rows beyond the window, above and below. */
const MARGIN = 6;

/**
 * The table of events, newest first. Only the rows in its window are in the page, however many there are; what is
 * looked at stays where it is when others come.
 */
export class EventTable {
  readonly #grid = byId('events', HTMLElement);
  readonly #window = byId('events-window', HTMLElement);
  readonly #body = byId('events-body', HTMLElement);
  readonly #onOpen: (entry: Entry, hasKeyboard: boolean) => void;
  readonly #onChoice: (entry: Entry) => void;
  readonly #rows: Row[] = [];
  #entries: readonly Entry[] = [];
  #chosen: number | undefined;
  #rowHeight = 30;
  #firstSeen = 0;

  /** @param onOpen is told of an event to be shown as a whole @param onChoice of one that arrow keys came to */
  constructor(onOpen: (entry: Entry, hasKeyboard: boolean) => void, onChoice: (entry: Entry) => void) {
    this.#onOpen = onOpen;
    this.#onChoice = onChoice;
    this.#window.addEventListener('scroll', () => this.#drawWindow());
    this.#grid.addEventListener('keydown', (event) => this.#onKey(event));
    this.#body.addEventListener('click', (event) => {
      const row = this.#rows.find(
        ({ element }) => event.target instanceof Node && element.contains(event.target),
      );
      const entry = row && this.#find(row.ordinal);
      if (!entry) return;
      this.#chosen = entry.ordinal;
      this.#drawWindow();
      this.#onOpen(entry, false);
    });
    new ResizeObserver(() => this.draw(this.#entries)).observe(this.#window);
  }

  /** Shows these, given oldest first. */
  draw(entries: readonly Entry[]): void {
    const height = Number.parseFloat(getComputedStyle(this.#grid).getPropertyValue('--row-height'));
    const at = this.#window.scrollTop;
    const anchor = at > 0 ? this.#entryAt(Math.floor(at / this.#rowHeight))?.ordinal : undefined;
    const within = at % this.#rowHeight;
    this.#entries = entries;
    this.#rowHeight = height;
    this.#body.style.height = `${entries.length * height}px`;
    if (anchor !== undefined) {
      const index = this.#indexOf(anchor);
      if (index >= 0) this.#window.scrollTop = index * height + within;
    }
    setAttributes(this.#grid, { 'aria-rowcount': entries.length + 1 });
    setAttributes(byId('events-empty', HTMLElement), { hidden: entries.length > 0 });
    this.#drawWindow();
  }

  /** Puts the keyboard into the table. */
  focus(): void {
    this.#grid.focus();
  }

  #drawWindow(): void {
    const { scrollTop, clientHeight } = this.#window;
    const first = Math.max(0, Math.floor(scrollTop / this.#rowHeight) - MARGIN);
    const count = Math.min(
      this.#entries.length - first,
      Math.ceil(clientHeight / this.#rowHeight) + 2 * MARGIN,
    );
    this.#firstSeen = Math.ceil(scrollTop / this.#rowHeight);
    for (let index = 0; index < count; index += 1) {
      const entry = this.#entryAt(first + index);
      if (entry) this.#fill(this.#rows[index] ?? this.#addRow(), entry, first + index);
    }
    for (const { element } of this.#rows.splice(Math.max(0, count))) element.remove();
    const isThere = this.#rows.some(({ ordinal }) => ordinal === this.#chosen);
    setAttributes(this.#grid, { 'aria-activedescendant': isThere ? `event-${this.#chosen}` : undefined });
  }

  #addRow(): Row {
    const cells: Cells = {
      time: cell('time'),
      verdict: cell('verdict'),
      process: cell('process'),
      name: cell('name'),
      target: cell('target'),
      cause: cell('cause'),
      count: cell('count'),
    };
    cells.verdict.append(
      make('span', { class: 'sign', 'aria-hidden': 'true' }),
      make('span', { class: 'word' }),
    );
    const element = make('div', { role: 'row', class: 'row' }, ...CELLS.map((name) => cells[name]));
    this.#body.append(element);
    const row = { element, cells, ordinal: -1 };
    this.#rows.push(row);
    return row;
  }

  #fill(row: Row, { ordinal, event }: Entry, index: number): void {
    row.element.style.transform = `translateY(${index * this.#rowHeight}px)`;
    const isChosen = ordinal === this.#chosen;
    setAttributes(row.element, { 'aria-rowindex': index + 2, 'aria-selected': `${isChosen}` });
    if (row.ordinal === ordinal) return;
    row.ordinal = ordinal;
    const texts = rowOf(event);
    const { cells, element } = row;
    setAttributes(element, {
      id: `event-${ordinal}`,
      'data-verdict': texts.verdict,
      'data-told': texts.told !== undefined,
    });
    setText(cells.time, texts.time);
    const words = texts.verdict ? VERDICT_SIGNS[texts.verdict] : { sign: '·', word: '' };
    setText(cells.verdict.firstElementChild ?? cells.verdict, words.sign);
    setText(cells.verdict.lastElementChild ?? cells.verdict, words.word);
    setText(cells.process, texts.process);
    setText(cells.name, texts.told ?? texts.name);
    setText(cells.target, texts.target);
    setText(cells.cause, texts.cause);
    setText(cells.count, texts.count);
    for (const name of ['process', 'name', 'target', 'cause'] as const)
      setAttributes(cells[name], { title: cells[name].textContent || undefined });
  }

  #onKey(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.#window.clientHeight / this.#rowHeight) - 1);
    const now = this.#chosen === undefined ? -1 : this.#indexOf(this.#chosen);
    const from = now < 0 ? this.#firstSeen - 1 : now;
    const to = targetOf(event.key, from, page, this.#entries.length - 1);
    if (to === undefined) {
      const entry = event.key === 'Enter' ? this.#entryAt(now) : undefined;
      if (entry) this.#onOpen(entry, true);
      return;
    }
    event.preventDefault();
    const entry = this.#entryAt(Math.max(0, Math.min(this.#entries.length - 1, to)));
    if (!entry) return;
    this.#chosen = entry.ordinal;
    this.#reveal(this.#indexOf(entry.ordinal));
    this.#drawWindow();
    this.#onChoice(entry);
  }

  #reveal(index: number): void {
    const { scrollTop, clientHeight } = this.#window;
    const top = index * this.#rowHeight;
    if (top < scrollTop) this.#window.scrollTop = top;
    else if (top + this.#rowHeight > scrollTop + clientHeight)
      this.#window.scrollTop = top + this.#rowHeight - clientHeight;
  }

  #entryAt(index: number): Entry | undefined {
    return this.#entries[this.#entries.length - 1 - index];
  }

  #find(ordinal: number): Entry | undefined {
    return this.#entryAt(this.#indexOf(ordinal));
  }

  /* -1 where it has fallen out or is not wanted. */
  #indexOf(ordinal: number): number {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle]?.ordinal ?? 0) < ordinal) low = middle + 1;
      else high = middle;
    }
    return this.#entries[low]?.ordinal === ordinal ? this.#entries.length - 1 - low : -1;
  }
}

function cell(name: string): HTMLElement {
  return make('span', { role: 'gridcell', class: `cell ${name}` });
}

function targetOf(key: string, from: number, page: number, last: number): number | undefined {
  switch (key) {
    case 'ArrowDown':
      return from + 1;
    case 'ArrowUp':
      return from - 1;
    case 'PageDown':
      return from + page;
    case 'PageUp':
      return from - page;
    case 'Home':
      return 0;
    case 'End':
      return last;
    default:
      return undefined;
  }
}
