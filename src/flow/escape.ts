// Controls, format characters (bidi overrides among them), line and paragraph separators, lone
// surrogates: what can move, hide or reorder text around it.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/* Quick to look for, most lines have none; and properties of Unicode cost a process 3 MB as soon as they are asked for. */
const BESIDE_PRINTABLE_ASCII = /[^\x20-\x7e]/;
const BEYOND_PRINTABLE_ASCII = /[\x7f-\uffff]/;

/** `text` safe for one line of a terminal: unsafe characters become `\x1b` or `\u{202e}`. */
export function escapeControl(text: string): string {
  if (!BESIDE_PRINTABLE_ASCII.test(text)) return text;
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** JSON text of `value` on many lines for people, safe as `encodeJsonLine` is. */
export function encodeJsonLines(value: object): string {
  const text = JSON.stringify(value, undefined, 2);
  return text.split('\n').map(escapeJson).join('\n');
}

/** JSON text of `value` on one line, unsafe characters as `\u001b`: it parses to the same value. */
export function encodeJsonLine(value: object): string {
  return escapeJson(JSON.stringify(value));
}

function escapeJson(text: string): string {
  if (!BEYOND_PRINTABLE_ASCII.test(text)) return text; // JSON has escaped what is below a space
  return text.replace(UNSAFE, (character) =>
    // By code unit, since \u takes four digits.
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
