import { byId } from './element.ts';

const KEY = 'l7egg-token';

/** The token of the URL, which is taken out of the address bar; else the one that this tab had. */
export function takeToken(): string {
  const token = tokenOf(location.href);
  if (token === '') return sessionStorage.getItem(KEY) ?? '';
  sessionStorage.setItem(KEY, token);
  history.replaceState(null, '', location.pathname);
  return token;
}

/** Asks for a token when there is none, or when the enforcer does not know it. */
export class TokenGate {
  readonly #section = byId('gate', HTMLElement);
  readonly #input = byId('gate-token', HTMLInputElement);

  /** @param onToken takes what was given */
  constructor(onToken: (token: string) => void) {
    byId('gate-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      const token = tokenOf(this.#input.value) || this.#input.value.trim();
      if (token === '') return this.#input.focus();
      sessionStorage.setItem(KEY, token);
      this.#input.value = '';
      onToken(token);
    });
  }

  open(): void {
    if (!this.#section.hidden) return;
    this.#section.hidden = false;
    this.#input.focus();
  }

  close(): void {
    this.#section.hidden = true;
  }
}

function tokenOf(text: string): string {
  return /[?&]token=([\w-]+)/u.exec(text)?.[1] ?? '';
}
