import { UsageError } from '../errors.ts';
import { suggest } from '../wording.ts';

/** How a flag takes values: a list is repeatable and comma separated, the others stand once. */
export type FlagKind = 'list' | 'value' | 'choice' | 'boolean';

/** What the normaliser knows of a flag; `alias` is another name, `choices` the legal words of a choice. */
export interface FlagShape {
  readonly name: string;
  readonly kind: FlagKind;
  readonly alias?: string;
  readonly choices?: readonly string[];
}

/**
 * Arguments after sorting. `values`: by flag name, verbatim, list items split, of booleans `true` or
 * `false`. `words`: what is no flag, in order; `rest`: what stands behind `--`, untouched.
 */
export interface Normalised {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly words: readonly string[];
  readonly rest: readonly string[];
}

/**
 * Sorts command-line arguments: one dash or two, the value behind `=` or, but for booleans, a space.
 * A value that begins with a dash, other than `-` itself, must stand behind `=`. Throws UsageError for an unknown flag, a
 * missing value, an empty list item, a word that is no choice, two values where one is legal.
 */
export function normaliseArgs(argv: readonly string[], flags: readonly FlagShape[]): Normalised {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const values = new Map<string, readonly string[]>();
  const words: string[] = [];
  const args = argv.slice(0, end).values();
  for (const arg of args) {
    const [, name, inline] = /^--?([^=]+)(?:=(.*))?$/su.exec(arg) ?? [];
    if (name === undefined) {
      words.push(arg);
      continue;
    }
    const flag = flags.find((known) => known.name === name || known.alias === name);
    if (!flag) throw unknownFlag(arg, name, flags);
    const value = inline ?? (flag.kind === 'boolean' ? 'true' : valueBehind(flag, args.next().value));
    values.set(flag.name, addValue(flag, values.get(flag.name), value));
  }
  return { values, words, rest: argv.slice(end + 1) };
}

function valueBehind(flag: FlagShape, next: string | undefined): string {
  if (next === undefined) throw missingValue(flag, '');
  if (next.startsWith('-') && next !== '-') {
    throw missingValue(flag, `: a value that begins with a dash is written -${flag.name}=${next}`);
  }
  return next;
}

function addValue(flag: FlagShape, before: readonly string[] | undefined, value: string): readonly string[] {
  if (value === '') throw missingValue(flag, '');
  if (flag.kind === 'list') {
    const items = value.split(',');
    if (items.includes('')) {
      throw new UsageError(
        `flag -${flag.name} has an empty item in "${value}": one comma between items is legal`,
      );
    }
    return [...(before ?? []), ...items];
  }
  const legal = flag.kind === 'boolean' ? ['true', 'false'] : flag.choices;
  if (legal && !legal.includes(value)) {
    throw new UsageError(`flag -${flag.name} has the value "${value}": ${legal.join(' or ')} is legal`);
  }
  if (before !== undefined && before[0] !== value) {
    throw new UsageError(
      `flag -${flag.name} is given twice, with "${before[0]}" and "${value}": one value is legal`,
    );
  }
  return [value];
}

function missingValue(flag: FlagShape, hint: string): UsageError {
  const legal = flag.choices ? ` (${flag.choices.join(' or ')})` : '';
  return new UsageError(`flag -${flag.name} needs a value${legal}${hint}`);
}

function unknownFlag(arg: string, name: string, flags: readonly FlagShape[]): UsageError {
  const names = flags.map((flag) => flag.name);
  return new UsageError(
    `unknown flag "${arg}"${suggest(name, names, '-') || ': -help lists the legal ones'}`,
  );
}
