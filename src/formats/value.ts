import { isAlias, isMap, isScalar, isSeq, type LineCounter, type Node, type Pair } from 'yaml';
import { UsageError } from '../errors.ts';
import { anyQuoted, suggest } from '../wording.ts';
import type { Anchors } from './anchors.ts';
import type { Place, Problems } from './problem.ts';
import { keyText } from './repeated-keys.ts';

/** What a value of a policy file needs to know of the file. */
export interface Source {
  readonly file: string;
  readonly anchors: Anchors;
  readonly lines: LineCounter;
  readonly problems: Problems;
}

const PLAIN = 'a plain decimal number is legal';

/** How an error calls what stands there. */
function describe(node: Node | null): string {
  if (node === null || (isScalar(node) && node.value === null)) return 'nothing';
  if (isMap(node)) return 'a map';
  if (isSeq(node)) return 'a list';
  if (isScalar(node))
    return typeof node.value === 'string' ? `"${node.value}"` : (node.source ?? String(node.value));
  return 'something else';
}

/**
 * A value of a policy file and where it stands. A reading method that does not find what it asks for reports an error
 * at that place and answers undefined, so that whoever reads goes on and all errors are found.
 */
export class Value {
  /** How it is called in errors: `spec.egress[0].toPorts`. */
  readonly path: string;
  readonly #source: Source;
  readonly #node: Node | null;
  readonly #start: number;
  /** An alias that stands for nothing that may be read: one error is enough. */
  readonly #isBroken: boolean;

  /** @param start where it stands when there is no node, as behind a key without value */
  constructor(source: Source, node: Node | null, path: string, start = 0) {
    this.#source = source;
    this.path = path;
    this.#start = node?.range?.[0] ?? start;
    this.#node = isAlias(node) ? this.#follow(node) : node;
    this.#isBroken = isAlias(node) && this.#node === null;
  }

  get place(): Place {
    const { line, col } = this.#source.lines.linePos(this.#start);
    return { file: this.#source.file, line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** Nothing stands there: `key:` or `key: null`. */
  get isNull(): boolean {
    return this.#node === null || (isScalar(this.#node) && this.#node.value === null);
  }

  get isMap(): boolean {
    return isMap(this.#node);
  }

  get isList(): boolean {
    return isSeq(this.#node);
  }

  /** Text stands there, not a number or such a word as `true`. */
  get isText(): boolean {
    return typeof this.#scalar() === 'string';
  }

  /** Reports an error here: `PATH WHAT`. */
  error(what: string): undefined {
    this.#source.problems.error(this.place, this.#about(what));
    return undefined;
  }

  /** Reports that this is not enforced. */
  unsupported(what: string): undefined {
    this.#source.problems.unsupported(this.place, this.#about(what));
    return undefined;
  }

  /** Reports how this is taken. */
  warn(what: string): void {
    this.#source.problems.warn(this.place, this.#about(what));
  }

  /** Its keys and values; `legal` says in an error what could stand here. */
  map(legal = 'a map is legal'): MapValue | undefined {
    if (!isMap(this.#node)) return this.#wrong(legal);
    return new MapValue(this, this.#source, this.#node.items);
  }

  /** Its items; `legal` says in an error what could stand here. */
  list(legal = 'a list is legal'): Value[] | undefined {
    if (!isSeq(this.#node)) return this.#wrong(legal);
    return this.#node.items.map(
      (item, index) => new Value(this.#source, toNode(item), `${this.path}[${index}]`, this.#start),
    );
  }

  /** Text. Numbers and words such as `true` are not: they were meant as something else. */
  text(legal = 'text is legal'): string | undefined {
    const value = this.#scalar();
    return typeof value === 'string' ? value : this.#wrong(legal);
  }

  /** Text, also where YAML reads a number in it; that has to be plain decimal, which every reader reads alike. */
  scalarText(legal = 'text or a number is legal'): string | undefined {
    const value = this.#scalar();
    if (typeof value === 'string') return value;
    if (typeof value !== 'number') return this.#wrong(legal);
    return this.#isPlain() ? String(value) : this.#wrong(PLAIN);
  }

  /** One of these words. */
  word<W extends string>(words: readonly W[]): W | undefined {
    const value = this.#scalar();
    return words.find((word) => word === value) ?? this.#wrong(`${anyQuoted(words)} is legal`);
  }

  /** A whole number from low to high, in plain decimal: what else YAML takes, 010 or 7:30, its versions read apart. */
  integer(low: number, high: number): number | undefined {
    const value = this.#scalar();
    const isLegal = typeof value === 'number' && Number.isInteger(value) && low <= value && value <= high;
    if (!isLegal) return this.#wrong(`a whole number from ${low} to ${high} is legal`);
    return this.#isPlain() ? value : this.#wrong(PLAIN);
  }

  /** True or false. */
  boolean(): boolean | undefined {
    const value = this.#scalar();
    return typeof value === 'boolean' ? value : this.#wrong('true or false is legal');
  }

  /** What `parse` makes of the text; its UsageError becomes an error here. */
  parse<T>(parse: (text: string) => T, legal?: string): T | undefined {
    const text = this.text(legal);
    return text === undefined ? undefined : this.attempt(() => parse(text));
  }

  /** What `act` answers; its UsageError becomes an error here. */
  attempt<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (thrown) {
      if (!(thrown instanceof UsageError)) throw thrown;
      return this.error(`: ${thrown.message}`);
    }
  }

  /* What begins with a colon is somebody else's sentence. */
  #about(what: string): string {
    const subject = this.path || 'the document';
    return what.startsWith(':') ? subject + what : `${subject} ${what}`;
  }

  #scalar(): unknown {
    return isScalar(this.#node) ? this.#node.value : undefined;
  }

  #isPlain(): boolean {
    return isScalar(this.#node) && /^(?:0|-?[1-9]\d*)$/u.test(this.#node.source ?? '');
  }

  #wrong(legal: string): undefined {
    if (this.#isBroken) return undefined;
    return this.error(`is ${describe(this.#node)}: ${legal}`);
  }

  #follow(alias: Node): Node | null {
    if (!isAlias(alias)) return alias;
    const target = this.#source.anchors.follow(alias);
    if (typeof target !== 'string') return target;
    this.error(target);
    return null;
  }
}

/** A map of a policy file. Who reads it takes the keys that it knows, then calls `end`. */
export class MapValue {
  readonly value: Value;
  readonly #pairs = new Map<string, { readonly key: Value; readonly value: Value }>();
  readonly #known = new Set<string>();

  constructor(value: Value, source: Source, pairs: readonly Pair[]) {
    this.value = value;
    for (const pair of pairs) {
      const keyNode = toNode(pair.key);
      const key = new Value(source, keyNode, value.path);
      const name = isScalar(keyNode) ? keyText(keyNode) : undefined;
      if (name === undefined) {
        key.error('has a key that is not text');
        continue;
      }
      const path = value.path === '' ? name : `${value.path}.${name}`;
      const keyEnd = keyNode?.range?.[0] ?? 0;
      this.#pairs.set(name, { key, value: new Value(source, toNode(pair.value), path, keyEnd) });
    }
  }

  /** The names of its keys, in the order of the file. */
  keys(): string[] {
    return [...this.#pairs.keys()];
  }

  /** The value of a key, undefined when the key is absent. A key without value has one that `isNull`. */
  get(key: string): Value | undefined {
    this.#known.add(key);
    return this.#pairs.get(key)?.value;
  }

  /** As `get`; in Kubernetes a key without value is as good as absent. */
  getNonNull(key: string): Value | undefined {
    const value = this.get(key);
    return value?.isNull ? undefined : value;
  }

  /** As `get`, and an error when the key is absent. */
  require(key: string, legal: string): Value | undefined {
    const value = this.get(key);
    return value ?? this.value.error(`has no "${key}": ${legal}`);
  }

  /** These keys are legal and mean nothing for egress. */
  ignore(...keys: readonly string[]): void {
    for (const key of keys) this.#known.add(key);
  }

  /** This key is legal in its kind and not enforced: `why` is said where it stands, unless it stands for nothing. */
  unsupported(key: string, why = 'is not enforced'): void {
    const value = this.get(key);
    if (value && !value.isNull) value.unsupported(why);
  }

  /** Reports the keys that nobody took. */
  end(): void {
    for (const [name, { key }] of this.#pairs) {
      if (this.#known.has(name)) continue;
      const hint = suggest(name, [...this.#known]) || ':';
      key.error(`has the unknown key "${name}"${hint} ${anyQuoted([...this.#known])} is legal`);
    }
  }
}

/* Keys and items that the parser made are nodes; it knows no other. */
function toNode(item: unknown): Node | null {
  return isMap(item) || isSeq(item) || isScalar(item) || isAlias(item) ? item : null;
}
