/** The characters that IDNA takes for a dot between labels (UTS 46). */
export const DOTS = /[.\u3002\uff0e\uff61]/u;

/** What a label may have once it is ASCII, lower case. */
const LABEL = /^[a-z0-9_-]*$/u;

/** Whether all characters are ASCII. */
export function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}

/**
 * The lower-case ASCII form of one label: letters, digits, `-`, `_`; others as punycode (UTS 46,
 * not transitional, as browsers do it). Undefined when a character can't be in a label.
 */
export function labelToAscii(label: string): string | undefined {
  if (isAscii(label)) {
    const lower = label.toLowerCase();
    return LABEL.test(lower) ? lower : undefined;
  }
  // URL drops tabs and reads "%", "/", "@" and the like its own way, so none may get there.
  const plain = [...label].filter(isAscii).join('').toLowerCase();
  if (!LABEL.test(plain)) return undefined;
  const ascii = hostOf(`${label}.a`)?.slice(0, -2);
  return ascii !== undefined && LABEL.test(ascii) ? ascii : undefined;
}

/** The second label keeps a URL from taking digits of other scripts for an IPv4 address. */
function hostOf(name: string): string | undefined {
  const url = `http://${name}`;
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}
