import { UsageError } from '../errors.ts';
import { FILTERS, type Filter, type FilterTexts, NO_FILTER, parseFilter } from '../flow/filter.ts';
import type { Verdict } from '../flow/reason.ts';
import { observeCommand } from '../view/observe-command.ts';
import { copyButton } from './copy-button.ts';
import { byId, setAttributes, setText } from './element.ts';

/** The filters that are written; verdicts have buttons. */
type Field = Exclude<(typeof FILTERS)[number], 'verdict'>;

const FIELDS = FILTERS.filter((name): name is Field => name !== 'verdict');
const VERDICTS: readonly Verdict[] = ['allow', 'deny', 'would_deny'];

/** Asks which events are wanted, in the words of `observe`. */
export class FilterBar {
  readonly #form = byId('filters', HTMLFormElement);
  readonly #error = byId('filter-error', HTMLElement);
  readonly #clear = byId('filter-clear', HTMLButtonElement);
  readonly #instance: () => string;
  readonly #onChange: (filter: Filter) => void;
  readonly #now: () => number;
  #verdicts = new Set<Verdict>();

  constructor(instance: () => string, now: () => number, onChange: (filter: Filter) => void) {
    this.#instance = instance;
    this.#now = now;
    this.#onChange = onChange;
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    this.#form.addEventListener('input', () => this.#apply());
    this.#clear.addEventListener('click', () => this.clear());
    for (const verdict of VERDICTS) {
      byId(`count-${verdict}`, HTMLButtonElement).addEventListener('click', () =>
        this.toggleVerdict(verdict),
      );
    }
    const toggle = byId('filter-toggle', HTMLButtonElement);
    toggle.addEventListener('click', () => {
      const isOpen = toggle.getAttribute('aria-expanded') === 'true';
      setAttributes(toggle, { 'aria-expanded': `${!isOpen}` });
    });
    const copy = copyButton(
      () => observeCommand(this.#instance(), this.texts),
      'the observe command',
      'Copy as command',
    );
    this.#clear.after(copy);
  }

  /** What is asked for, as the flags of `observe`. */
  get texts(): FilterTexts {
    const texts = FIELDS.map((name) => [name, splitList(this.#input(name).value)] as const);
    return { ...NO_FILTER, ...Object.fromEntries(texts), verdict: [...this.#verdicts] };
  }

  /** Puts the cursor where a filter is written. */
  focus(): void {
    setAttributes(byId('filter-toggle', HTMLButtonElement), { 'aria-expanded': 'true' });
    this.#input('name').focus();
    this.#input('name').select();
  }

  /** Asks for this text only, or no more, where that is asked for already. */
  toggle(name: Field, text: string): void {
    const input = this.#input(name);
    input.value = input.value === text ? '' : text;
    this.#apply();
  }

  toggleVerdict(verdict: Verdict): void {
    if (!this.#verdicts.delete(verdict)) this.#verdicts.add(verdict);
    this.#apply();
  }

  clear(): void {
    this.#verdicts = new Set();
    this.#form.reset();
    this.#apply();
  }

  /* A filter that is not finished keeps the one before. */
  #apply(): void {
    const { texts } = this;
    const used = FILTERS.filter((name) => texts[name].length > 0);
    for (const verdict of VERDICTS)
      setAttributes(byId(`count-${verdict}`, HTMLButtonElement), {
        'aria-pressed': `${this.#verdicts.has(verdict)}`,
      });
    this.#clear.disabled = used.length === 0;
    const wrong = FIELDS.find((name) => problemOf({ ...NO_FILTER, [name]: texts[name] }) !== undefined);
    for (const name of FIELDS) {
      setAttributes(this.#input(name), {
        'aria-invalid': name === wrong,
        'data-used': texts[name].length > 0,
      });
    }
    setText(
      this.#error,
      wrong === undefined ? '' : (problemOf({ ...NO_FILTER, [wrong]: texts[wrong] }) ?? ''),
    );
    if (wrong === undefined) this.#onChange(parseFilter(texts, this.#now()));
  }

  #input(name: Field): HTMLInputElement {
    return byId(`filter-${name}`, HTMLInputElement);
  }
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function problemOf(texts: FilterTexts): string | undefined {
  try {
    parseFilter(texts, 0);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof UsageError || thrown instanceof Error) return thrown.message;
    throw thrown;
  }
}
