import { escapeControl } from '../flow/escape.ts';

/*
 * Two columns of a terminal: what Unicode's East Asian Width calls wide, by scripts. Lines are cut by it, and each is
 * placed by itself on the screen, so where a terminal thinks otherwise a line is some columns off, no more.
 */
const WIDE =
  /[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Yi}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
const HALF = /[\uff61-\uffdc]/u;
const COMBINING = /\p{M}/u;
/* Marks can be stacked over other lines; what Unicode has not assigned is drawn as terminals like. */
const UNSAFE = /(?<=\p{M})\p{M}+|[\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}]/gu;
const ASCII = /^[\x20-\x7e]*$/u;

/** `text` safe for a place in a line whose width matters: as `escapeControl`, and neither piles of marks nor invisibles. */
export function safeText(text: string): string {
  if (ASCII.test(text)) return text;
  return escapeControl(text).replace(UNSAFE, (found) =>
    Array.from(found, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`).join(''),
  );
}

/** How many columns a safe text takes. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/** A safe text cut to `columns`, with `…` as the last where it was longer, and filled with spaces. */
export function fitText(text: string, columns: number, side: 'left' | 'right' = 'left'): string {
  const cut = cutText(text, columns);
  const fill = ' '.repeat(Math.max(0, columns - widthOf(cut)));
  return side === 'left' ? cut + fill : fill + cut;
}

/** A safe text cut to `columns`, with `…` as the last where it was longer. */
export function cutText(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  if (columns <= 0) return '';
  let cut = '';
  let width = 0;
  for (const character of text) {
    width += widthOfCharacter(character);
    if (width > columns - 1) return `${cut}…`;
    cut += character;
  }
  return cut;
}

function widthOfCharacter(character: string): number {
  if (COMBINING.test(character)) return 0;
  return WIDE.test(character) && !HALF.test(character) ? 2 : 1;
}
