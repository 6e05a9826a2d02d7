/** The titles of tests that a source text has, as far as a text can tell: its literals and templates. */
export interface SourceTitles {
  /** Each string and template without holes, quotes off. */
  readonly literals: ReadonlySet<string>;
  /** What stands right behind `test(` and `describe(`: the text between holes, in order. */
  readonly called: readonly (readonly string[])[];
  /** Some titles are values: any literal may be one. */
  readonly hasValues: boolean;
}

const CALL = /\b(?:test|describe)\(\s*$/u;
const CALL_OF_VALUE = /\b(?:test|describe)\(\s*(?:[a-zA-Z]|String\.raw)/u;

/** Reads the literals of TypeScript; knows comments, strings and templates, also within each other. */
export function readTitles(source: string): SourceTitles {
  const literals = new Set<string>();
  const called: string[][] = [];
  let code = '';
  let at = 0;
  while (at < source.length) {
    const rest = source.slice(at);
    const comment = /^(?:\/\*[\s\S]*?\*\/|\/\/[^\n]*)/u.exec(rest)?.[0];
    if (comment !== undefined) {
      at += comment.length;
      continue;
    }
    const plain = /^(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)")/u.exec(rest);
    const parts = plain ? [withoutEscapes(plain[1] ?? plain[2] ?? '')] : [];
    let length = plain?.[0].length ?? 0;
    if (rest.startsWith('`')) {
      const template = readTemplate(rest);
      length = template.length;
      parts.push(...template.parts.map(withoutEscapes));
      // What stands in its holes may have literals of its own.
      for (const hole of template.holes) for (const each of readTitles(hole).literals) literals.add(each);
    }
    if (parts.length === 0) {
      code += rest.charAt(0);
      at += 1;
      continue;
    }
    if (parts.length === 1) literals.add(parts[0] ?? '');
    if (CALL.test(code.slice(-80))) called.push(parts);
    code += '""';
    at += length;
  }
  return { literals, called, hasValues: CALL_OF_VALUE.test(code) };
}

function withoutEscapes(text: string): string {
  return text.replace(/\\(['"`$\\])/gu, '$1');
}

/* The text between the holes of the template that `source` begins with, what stands in them, and its length. */
function readTemplate(source: string): { parts: string[]; holes: string[]; length: number } {
  const parts = [''];
  const holes: string[] = [];
  let at = 1;
  while (at < source.length && source[at] !== '`') {
    if (source.startsWith('${', at)) {
      const end = endOfHole(source, at + 2);
      holes.push(source.slice(at + 2, end));
      parts.push('');
      at = end + 1;
      continue;
    }
    const size = source[at] === '\\' ? 2 : 1;
    parts[parts.length - 1] += source.slice(at, at + size);
    at += size;
  }
  return { parts, holes, length: at + 1 };
}

function endOfHole(source: string, from: number): number {
  let depth = 0;
  for (let at = from; at < source.length; at += 1) {
    const char = source.charAt(at);
    if (char === '`') at += readTemplate(source.slice(at)).length - 1;
    else if (char === '{') depth += 1;
    else if (char === '}' && depth === 0) return at;
    else if (char === '}') depth -= 1;
  }
  return source.length;
}

/**
 * Whether a test of this source can have the title. Of a template what fills a hole is a literal of the same source,
 * or `…`, which stands for what is not known before the test runs.
 */
export function hasTitle({ literals, called, hasValues }: SourceTitles, title: string): boolean {
  if (hasValues && literals.has(title)) return true;
  return called.some((parts) => fills(parts, title, literals));
}

function fills(parts: readonly string[], title: string, literals: ReadonlySet<string>): boolean {
  const [first = '', ...more] = parts;
  if (!title.startsWith(first)) return false;
  const rest = title.slice(first.length);
  if (more.length === 0) return rest === '';
  for (let length = 0; length <= rest.length; length += 1) {
    const filling = rest.slice(0, length);
    if ((filling === '…' || literals.has(filling)) && fills(more, rest.slice(length), literals)) return true;
  }
  return false;
}
