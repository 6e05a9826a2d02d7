/** What a person pressed: a named key, or a character. */
export type Key = { readonly kind: 'text'; readonly text: string } | { readonly kind: NamedKey };

/** Keys without a character. */
export type NamedKey =
  | 'up'
  | 'down'
  | 'page-up'
  | 'page-down'
  | 'home'
  | 'end'
  | 'enter'
  | 'escape'
  | 'erase'
  | 'interrupt'
  | 'suspend'
  | 'redraw';

const SEQUENCES: ReadonlyMap<string, NamedKey> = new Map([
  ['[A', 'up'],
  ['OA', 'up'],
  ['[B', 'down'],
  ['OB', 'down'],
  ['[5~', 'page-up'],
  ['[6~', 'page-down'],
  ['[H', 'home'],
  ['OH', 'home'],
  ['[1~', 'home'],
  ['[F', 'end'],
  ['OF', 'end'],
  ['[4~', 'end'],
]);

const CONTROLS: ReadonlyMap<string, NamedKey> = new Map([
  ['\r', 'enter'],
  ['\n', 'enter'],
  ['\x1b', 'escape'],
  ['\x7f', 'erase'],
  ['\b', 'erase'],
  ['\x03', 'interrupt'],
  ['\x04', 'interrupt'],
  ['\x1a', 'suspend'],
  ['\x0c', 'redraw'],
]);

/* A sequence of ECMA-48 (CSI, or SS3 and a letter), or one character. */
const NEXT = new RegExp(`${'\x1b'}(\\[[0-?]*[ -/]*[@-~]|O[A-Za-z])|.`, 'gsu');

/** The keys of what a terminal in raw mode sent at a time; sequences that mean nothing here are left out. */
export function parseKeys(input: string): Key[] {
  return [...input.matchAll(NEXT)].flatMap(([all, sequence]): Key[] => {
    const kind = sequence === undefined ? CONTROLS.get(all) : SEQUENCES.get(sequence);
    if (kind) return [{ kind }];
    const isText = sequence === undefined && !/\p{Cc}/u.test(all);
    return isText ? [{ kind: 'text', text: all }] : [];
  });
}
