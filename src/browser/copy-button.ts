import { make, setText } from './element.ts';

const SAID_MS = 1_500;

/** A button that copies a text, and says that it did. `what` is for those who hear the page. */
export function copyButton(text: () => string, what: string, label = 'Copy'): HTMLButtonElement {
  const button = make('button', { type: 'button', class: 'quiet', 'aria-label': `${label} ${what}` }, label);
  button.addEventListener('click', () => {
    navigator.clipboard.writeText(text()).then(
      () => say(button, 'Copied', label),
      () => say(button, 'Select it by hand', label),
    );
  });
  return button;
}

function say(button: HTMLButtonElement, text: string, label: string): void {
  setText(button, text);
  setTimeout(() => setText(button, label), SAID_MS);
}
