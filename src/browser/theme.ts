import { byId, setAttributes, setText } from './element.ts';

const KEY = 'l7egg-theme';
const THEMES = ['auto', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];

/** The switch between light, dark and what the system says; it is kept for this browser. */
export function followTheme(): void {
  const button = byId('theme', HTMLButtonElement);
  const show = (theme: Theme) => {
    setAttributes(document.documentElement, { 'data-theme': theme === 'auto' ? undefined : theme });
    setText(button.lastElementChild ?? button, theme);
    setAttributes(button, { 'aria-label': `Theme: ${theme}` });
  };
  let theme = THEMES.find((each) => each === localStorage.getItem(KEY)) ?? 'auto';
  show(theme);
  button.addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto';
    localStorage.setItem(KEY, theme);
    show(theme);
  });
}
