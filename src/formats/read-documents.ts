import { Composer, type Document, Lexer, LineCounter, Parser } from 'yaml';
import { Anchors } from './anchors.ts';
import type { Problems } from './problem.ts';
import { keyText, repeatedKeys } from './repeated-keys.ts';
import { Value } from './value.ts';

/** Maps and lists within each other. */
const MAX_DEPTH = 64;
/** Words, signs and spaces of one file: enough for a million prefixes; more may be more than memory holds. */
const MAX_LEXEMES = 8_000_000;
/** Lexemes read before others get a turn. */
const TURN = 5_000;

/** Told now and then how far reading has come, in characters. Answers when reading may go on. */
export type Progress = (at: number, of: number) => Promise<void>;

/**
 * The documents of a YAML or JSON text, empty ones left out. What is not YAML, or has a key twice, is an error in
 * `problems`, and then there may be no documents.
 */
export async function readDocuments(
  file: string,
  text: string,
  problems: Problems,
  progress: Progress = async () => {},
): Promise<Value[]> {
  const lines = new LineCounter();
  const placeOf = (at: number) => {
    const { line, col } = lines.linePos(at);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  lines.addNewLine(0);
  if (text.includes('\0')) {
    problems.error(placeOf(0), 'is binary: YAML or JSON is legal');
    return [];
  }
  const documents: Document[] = [];
  const parser = new Parser(lines.addNewLine);
  const composer = new Composer({ uniqueKeys: false, keepSourceTokens: false });
  let lexemes = 0;
  let at = 0;
  let depth = 0;
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) documents.push(...composer.next(token));
    at += lexeme.length;
    depth = parser.stack.length;
    if (depth > 2 * MAX_DEPTH) {
      problems.error(placeOf(at), `has maps and lists within each other more than ${MAX_DEPTH} deep`);
      return [];
    }
    if (++lexemes > MAX_LEXEMES) {
      problems.error(placeOf(at), 'has too many values: a million or so in one file is legal');
      return [];
    }
    if (lexemes % TURN === 0) await progress(at, text.length);
  }
  for (const token of parser.end()) documents.push(...composer.next(token));
  documents.push(...composer.end());
  const values: Value[] = [];
  for (const document of documents) {
    for (const { pos, message } of [...document.errors, ...document.warnings])
      problems.error(placeOf(pos[0]), `is not legal YAML: ${firstLine(message)}`);
    if (document.errors.length > 0 || document.contents === null) continue;
    for (const key of repeatedKeys(document))
      problems.error(
        placeOf(key.range?.[0] ?? 0),
        `the key "${keyText(key)}" stands twice in a map: once is legal`,
      );
    const source = { file, document, lines, problems, anchors: new Anchors(document) };
    const value = new Value(source, document.contents, '');
    if (!value.isNull) values.push(value);
  }
  return values;
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message;
}
