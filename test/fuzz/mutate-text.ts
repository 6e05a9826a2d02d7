import type { Rng } from '../dns/rng.ts';

const ODD = [
  '',
  '*',
  '**',
  '**.',
  '-',
  '---\n',
  '...',
  '&a ',
  '*a',
  '<<: *all',
  '!!str ',
  '!!binary ',
  '{',
  '}',
  '[',
  ']',
  ',',
  ': ',
  '#',
  '|\n',
  '>-\n',
  '"',
  "'",
  '\\',
  '\t',
  '\r\n',
  '\n',
  ' ',
  '\u0000',
  '\u001b[31m',
  '\u0085',
  '\u2028',
  '\ufeff',
  '\u202e',
  'é',
  '\ud83d\ude00',
  'null',
  'true',
  '0',
  '-1',
  '1e3',
  '0x1f',
  '65536',
  '99999999999999999999',
  '.inf',
  '0.0.0.0/0',
  '::/0',
  '::ffff:10.0.0.0/24',
  '10.0.0.1/33',
  '__proto__',
  'constructor',
] as const;
/** A text grows by doubling: past this it is cut. */
const MOST_CHARACTERS = 20_000;

/** A text that differs from `text` in some places: bytes, lines, pieces of `others`, and what is odd. */
export function mutateText(rng: Rng, text: string, others: readonly string[]): string {
  let mutated = text;
  for (let left = rng.pick([1, 1, 2, 4]); left > 0; left -= 1) mutated = mutateOnce(rng, mutated, others);
  return mutated.slice(0, MOST_CHARACTERS);
}

function mutateOnce(rng: Rng, text: string, others: readonly string[]): string {
  const [from, to] = [rng.below(text.length + 1), rng.below(text.length + 1)].sort((a, b) => a - b);
  const [start = 0, end = 0] = [from, to];
  const other = others[rng.below(others.length)] ?? '';
  const lines = text.split('\n');
  const line = rng.below(lines.length);
  const word = wordAt(text, start);
  switch (rng.below(12)) {
    case 0:
      return text.slice(0, start) + rng.pick(ODD) + text.slice(start);
    case 1:
      return text.slice(0, start) + text.slice(Math.min(end, start + 1 + rng.below(8)));
    case 2: {
      const code = rng.oneIn(2) ? rng.below(128) : rng.below(0xd800);
      return text.slice(0, start) + String.fromCharCode(code) + text.slice(start + 1);
    }
    case 3:
      return lines.toSpliced(line, 1).join('\n');
    case 4:
      return lines.toSpliced(line, 0, lines[rng.below(lines.length)] ?? '').join('\n');
    case 5:
      return lines.with(line, ' '.repeat(rng.below(6)) + (lines[line] ?? '').trimStart()).join('\n');
    case 6:
      return text.slice(0, start);
    case 7:
      return `${text}${rng.oneIn(2) ? '\n---\n' : ''}${other}`;
    case 8: {
      const piece = wordAt(other, rng.below(other.length + 1));
      return text.slice(0, word.start) + other.slice(piece.start, piece.end) + text.slice(word.end);
    }
    case 9:
      return text.slice(0, word.start) + rng.pick(ODD) + text.slice(word.end);
    case 10:
      return (
        text.slice(0, start) +
        text.slice(start, Math.min(end, start + 40)).repeat(1 + rng.below(50)) +
        text.slice(start)
      );
    default:
      return text.slice(0, word.end) + rng.pick(['x', 's', '.', '1', ' ']) + text.slice(word.end);
  }
}

function wordAt(text: string, at: number): { start: number; end: number } {
  const isPart = (index: number) => /[\w./*-]/u.test(text.charAt(index));
  let [start, end] = [at, at];
  while (start > 0 && isPart(start - 1)) start -= 1;
  while (end < text.length && isPart(end)) end += 1;
  return { start, end };
}
