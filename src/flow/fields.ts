/**
 * The keys of an object from outside; each is asked for with the type that it has to have. Throws SyntaxError for what
 * is something else.
 */
export class Fields {
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #noun: string;

  /** @param noun what the object is, for errors */
  constructor(value: unknown, noun: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new SyntaxError(`${noun} is an object`);
    this.#noun = noun;
    this.#values = new Map(Object.entries(value));
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  number(key: string): number {
    const value = this.#values.get(key);
    if (typeof value === 'number') return value;
    throw this.#unlike(key, 'a number');
  }

  text(key: string): string {
    const value = this.#values.get(key);
    if (typeof value === 'string') return value;
    throw this.#unlike(key, 'a text');
  }

  boolean(key: string): boolean {
    const value = this.#values.get(key);
    if (typeof value === 'boolean') return value;
    throw this.#unlike(key, 'true or false');
  }

  time(key: string): number {
    const timeMs = Date.parse(this.text(key));
    if (Number.isFinite(timeMs)) return timeMs;
    throw this.#unlike(key, 'a time');
  }

  word<Word extends string>(key: string, words: readonly Word[]): Word {
    const word = words.find((each) => each === this.#values.get(key));
    if (word !== undefined) return word;
    throw this.#unlike(key, `one of ${words.join(', ')}`);
  }

  texts(key: string): string[] {
    const value = this.#values.get(key);
    if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
    throw this.#unlike(key, 'a list of texts');
  }

  list(key: string): Fields[] {
    const value = this.#values.get(key);
    if (Array.isArray(value)) return value.map((each) => new Fields(each, this.#noun));
    throw this.#unlike(key, 'a list');
  }

  #unlike(key: string, legal: string): SyntaxError {
    return new SyntaxError(
      `"${key}" of ${this.#noun} is ${JSON.stringify(this.#values.get(key))}, not ${legal}`,
    );
  }
}
